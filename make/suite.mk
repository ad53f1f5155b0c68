# The kernel's own test suites, unpacked from Debian's source package at test time: never part of this tree. Needs the
# packages linux-source-6.12 and clang-19, and minutes: not part of check-kernel yet.
SUITE := $(abspath $(O))/suite
$(O)/test/suite/annotated: test/suite/annotated.c $(BELOW_lib:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< -Wl,--start-group $(BELOW_lib:%=$(O)/lib/%.a) \
		-Wl,--end-group $(LIBS_hook) $(LIBS_lib) -lpthread
.PHONY: check-suite
check-suite: $(O)/test/suite/annotated
	@test/suite/build.sh $(SUITE)
	@$< --known test/suite/known.txt --not-yet 116 $(SUITE)/objects/*.bpf.o
