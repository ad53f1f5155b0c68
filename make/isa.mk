# Cases: every file of test/cases through every engine that is built and allowed here (test/case/case.h).
CASE_SRC := test/run_cases.c test/kernel/kernel.c $(wildcard test/case/*.c)
CASE_FLAGS := -Itest -Itest/case -DCASE_WITH_SKEP
CASE_ROOMS := $(BELOW_exec)
# Until the verifier is there, programs go to interpreter and JIT with facts that promise nothing.
ifneq ($(wildcard src/verify/verifier.c),)
CASE_FLAGS += -DCASE_WITH_VERIFY
endif
ifneq ($(wildcard src/runtime/engine.c),)
CASE_FLAGS += -DCASE_WITH_RUNTIME
CASE_ROOMS := $(BELOW_runtime)
endif
CASE_LIBS := $(CASE_ROOMS:%=$(O)/lib/%.a)
$(O)/test/run_cases: $(CASE_SRC) $(wildcard test/case/*.h) test/kernel/kernel.h $(CASE_LIBS)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CASE_FLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $(CASE_SRC) \
		-Wl,--whole-archive $(O)/lib/helper.a $(O)/lib/map.a -Wl,--no-whole-archive $(CASE_LIBS) -lpthread
.PHONY: cases bless
cases: $(O)/test/run_cases
	@timeout 300 $< --quiet
bless: $(O)/test/run_cases
	@timeout 300 $< --bless

# Comparison of the isa room with the running kernel; the tests skip where bpf() is missing.
KERNEL_isa := $(O)/test/kernel/valid $(O)/test/kernel/disasm
$(O)/test/kernel/%: test/kernel/%.c test/kernel/kernel.c test/kernel/kernel.h test/unit/test.h $(O)/lib/isa.a $(O)/lib/base.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< test/kernel/kernel.c $(O)/lib/isa.a $(O)/lib/base.a
.PHONY: check-kernel-isa
check-kernel-isa: $(KERNEL_isa)
	@for t in $^; do timeout 300 $$t || exit 1; done

# Fuzzing: bounded, reproducible, under sanitizers; the canary must be found first. LIBFUZZER=1 takes the compiler's
# engine instead (FUZZ_ARGS are its options then).
FUZZ_DIR := $(O)/fuzz
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_ARGS ?= --runs 1000000 --seconds 30
ifdef LIBFUZZER
FUZZ_CC := $(CLANG)
FUZZ_SAN += -fsanitize=fuzzer -DLIBFUZZER
else
FUZZ_CC := $(CC)
endif
$(FUZZ_DIR)/isa: fuzz/isa.c fuzz/driver.c fuzz/fuzz.h $(wildcard src/isa/* src/base/*)
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(CPPFLAGS) -Ifuzz $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(FUZZ_SAN) -o $@ fuzz/isa.c fuzz/driver.c $(SRC_isa) $(SRC_base)
.PHONY: fuzz-isa
fuzz-isa: $(FUZZ_DIR)/isa
ifndef LIBFUZZER
	@! (exec 2>/dev/null; $< --canary >/dev/null) || { echo "fuzz-isa: the canary was not found"; exit 1; }
endif
	$(Q)cd $(FUZZ_DIR) && timeout 600 $(abspath $<) $(FUZZ_ARGS)
