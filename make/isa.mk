# Cases: every file of test/cases through every engine that is built and allowed here (test/case/case.h).
CASE_SRC := test/run_cases.c test/kernel/kernel.c $(filter-out test/case/skep.c,$(wildcard test/case/*.c))
CASE_LIBS := $(O)/lib/isa.a $(O)/lib/base.a
CASE_FLAGS := -Itest -Itest/case
$(O)/test/run_cases: $(CASE_SRC) $(wildcard test/case/*.h) test/kernel/kernel.h $(CASE_LIBS)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CASE_FLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $(CASE_SRC) $(CASE_LIBS)
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
