# The kernel's own test suites, unpacked from Debian's source package at test time: never part of this tree.
$(O)/test/suite/annotated: test/suite/annotated.c $(BELOW_lib:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< -Wl,--start-group $(BELOW_lib:%=$(O)/lib/%.a) -Wl,--end-group $(LIBS_hook) $(LIBS_lib) -lpthread
