# verify: comparison with the running kernel's verifier; objects by OBJECTS=.
$(O)/test/kernel/verify_compare: test/kernel/verify_compare.c test/kernel/verify_ours.c test/kernel/verify_ours.h $(BELOW_verify:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel $(filter-out -MMD -MP,$(ALL_CFLAGS)) -fvisibility=default $(LDFLAGS) -rdynamic -o $@ test/kernel/verify_compare.c \
		test/kernel/verify_ours.c $(BELOW_verify:%=$(O)/lib/%.a) -lbpf -ldl
$(O)/test/kernel/target_args $(O)/test/kernel/kfunc_calls: $(O)/test/kernel/%: test/kernel/%.c test/kernel/abi_kernel.h test/unit/test.h $(BELOW_verify:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit -Itest/kernel $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< $(BELOW_verify:%=$(O)/lib/%.a)
.PHONY: check-kernel-verify
check-kernel-verify: $(O)/test/kernel/verify_compare $(O)/test/kernel/target_args $(O)/test/kernel/kfunc_calls
	@timeout 600 $(O)/test/kernel/target_args
	@timeout 600 $(O)/test/kernel/kfunc_calls
	@timeout 600 $< -q $(OBJECTS)

$(O)/bench/verify: bench/verify.c test/kernel/kernel.c test/kernel/kernel.h $(BELOW_verify:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< test/kernel/kernel.c $(BELOW_verify:%=$(O)/lib/%.a)
.PHONY: bench-verify
bench-verify: $(O)/bench/verify
	@$<

# Proofs of the numeric domain (z3): what is claimed is in test/prove/domain.c. SECONDS= a claim, CLAIMS= only these.
.PHONY: check-proofs
check-proofs:
	@CLANG=$(CLANG) test/prove/prove.sh $(O)/prove $(or $(SECONDS),60) $(CLAIMS)
KERNEL_PROGRAMS += "CLANG=$(CLANG) test/prove/prove.sh $(O)/prove 5"
