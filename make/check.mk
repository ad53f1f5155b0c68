# Tests, checks, CI. Everything prints TAP and goes through test/harness, which adds up.
TOTALS ?= $(O)/totals
CLI_TESTS := $(wildcard test/cli/*.sh)
KERNEL_TESTS := $(wildcard test/kernel/*.sh)
RUN_CLI = SKEP=$(abspath $(O)/skep) BUILD=$(abspath $(O)) SRCDIR=$(CURDIR)

.PHONY: run check check-kernel check-units tidy deps

deps:
	@tools/deps

run:
	@tools/deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(O)/skep
	$(O)/skep run examples/syscall_count.c -- ls -la

tidy:
	@tools/tidy

check:
	@tools/deps
	@rm -f $(TOTALS)
	@$(MAKE) --no-print-directory -j$$(nproc) check-build
	@test/harness --totals $(TOTALS) $(CHECK_PROGRAMS)

# What `make check` and `make check-kernel` run: commands that print TAP, one argument each, and the files they need. Rooms add
# to these: CHECK_PROGRAMS CHECK_BUILD KERNEL_PROGRAMS KERNEL_BUILD.
CHECK_PROGRAMS += test/cli/tidy.sh "$(O)/test/run_cases" \
	"SKEP_TEST_CACHE=$(O)/test/sites $(O)/test/launch $(TARGET_DIR)" $(UNITS) \
	$(foreach t,$(filter-out test/cli/tidy.sh,$(CLI_TESTS)),"$(RUN_CLI) bash $(t)")
CHECK_BUILD += $(O)/skep $(O)/libskep.a $(O)/libskep.so.0 $(UNITS) $(O)/test/run_cases $(O)/test/launch $(TARGETS_BUILT)
KERNEL_PROGRAMS += $(KERNEL_isa) $(KERNEL_ABI) $(foreach t,$(KERNEL_TESTS),"$(RUN_CLI) bash $(t)")
KERNEL_BUILD += $(O)/skep $(KERNEL_isa) $(KERNEL_ABI)
.PHONY: check-build kernel-build
check-build: $(CHECK_BUILD)
kernel-build: $(KERNEL_BUILD)

check-units: $(UNITS)
	@test/harness $^

check-kernel:
	@tools/deps kernel
	@rm -f $(TOTALS).kernel
	@$(MAKE) --no-print-directory -j$$(nproc) kernel-build
	@test/harness --totals $(TOTALS).kernel --timeout 1200 $(KERNEL_PROGRAMS)

# Figures. Each benchmark interleaves its contestants in one process and prints the spread; none is a test.
.PHONY: bench
bench:
	@tools/deps
	@for b in jit map verify hook; do \
		if $(MAKE) -s --no-print-directory -n bench-$$b >/dev/null 2>&1; then echo "== bench-$$b"; $(MAKE) -s --no-print-directory bench-$$b || exit 1; fi; done

.PHONY: fuzz
fuzz:
	@for f in isa exec elf bpf soundness verdict verify; do \
		if $(MAKE) -s --no-print-directory -n fuzz-$$f >/dev/null 2>&1; then echo "== fuzz-$$f"; $(MAKE) -s --no-print-directory fuzz-$$f || exit 1; fi; done
