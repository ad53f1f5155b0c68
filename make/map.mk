# Map operations and helpers in ns (bench/map.c).
$(O)/bench/map: bench/map.c bench/map_kernel.c bench/map_kernel.h $(BELOW_helper:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ bench/map.c bench/map_kernel.c $(BELOW_helper:%=$(O)/lib/%.a)
.PHONY: bench-map
bench-map: $(O)/bench/map
	@$(O)/bench/map

# Maps and helpers beside the running kernel's; the tests skip where bpf() is missing.
KERNEL_map := $(O)/test/kernel/map_compare $(O)/test/kernel/helper_compare
$(KERNEL_map): $(O)/test/kernel/%: test/kernel/%.c test/kernel/kernel.c test/kernel/kernel.h test/unit/test.h $(BELOW_helper:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel -Itest/unit $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< test/kernel/kernel.c $(BELOW_helper:%=$(O)/lib/%.a)
KERNEL_PROGRAMS += $(KERNEL_map)
KERNEL_BUILD += $(KERNEL_map)
.PHONY: check-kernel-map
check-kernel-map: $(KERNEL_map)
	@for t in $^; do timeout 300 $$t || exit 1; done
