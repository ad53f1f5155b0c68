# Comparison of the isa room with the running kernel; the tests skip where bpf() is missing.
KERNEL_isa := $(O)/test/kernel/valid $(O)/test/kernel/disasm
$(O)/test/kernel/%: test/kernel/%.c test/kernel/kernel.c test/kernel/kernel.h test/unit/test.h $(O)/lib/isa.a $(O)/lib/base.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< test/kernel/kernel.c $(O)/lib/isa.a $(O)/lib/base.a
.PHONY: check-kernel-isa
check-kernel-isa: $(KERNEL_isa)
	@for t in $^; do timeout 300 $$t || exit 1; done
