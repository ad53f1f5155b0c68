# runtime: comparison of bpf(2) with the kernel's, and random commands.
$(O)/test/kernel/bpf_compare: test/kernel/bpf_compare.c test/unit/test.h $(BELOW_runtime:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(BELOW_runtime:%=$(O)/lib/%.a) -lpthread
.PHONY: check-kernel-runtime
check-kernel-runtime: $(O)/test/kernel/bpf_compare
	@timeout 300 $<
