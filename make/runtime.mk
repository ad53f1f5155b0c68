# runtime: comparison of bpf(2) with the kernel's, and random commands.
$(O)/test/kernel/bpf_compare: test/kernel/bpf_compare.c test/unit/test.h $(BELOW_runtime:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(BELOW_runtime:%=$(O)/lib/%.a) -lpthread
.PHONY: check-kernel-runtime
check-kernel-runtime: $(O)/test/kernel/bpf_compare
	@timeout 300 $<

# Random commands in this process, under the sanitizers: a build of its own beside this one. COUNT= SEED=
$(O)/fuzz/bpf: fuzz/bpf.c fuzz/random.h $(BELOW_runtime:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) $(LDFLAGS) -o $@ fuzz/bpf.c $(BELOW_runtime:%=$(O)/lib/%.a) -lpthread
.PHONY: fuzz-bpf
fuzz-bpf:
	@$(MAKE) --no-print-directory O=$(O)/asan SAN=address,undefined $(O)/asan/fuzz/bpf
	@timeout 600 $(O)/asan/fuzz/bpf $(or $(COUNT),100000) $(or $(SEED),1)
KERNEL_PROGRAMS += $(O)/test/kernel/bpf_compare
kernel-build: $(O)/test/kernel/bpf_compare
