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
	$(O)/skep run examples/syscall_count.c --syscall all -- ls -la

tidy:
	@tools/tidy

check:
	@tools/deps
	@rm -f $(TOTALS)
	@$(MAKE) --no-print-directory -j$$(nproc) check-build
	@test/harness --totals $(TOTALS) $(CHECK_PROGRAMS)

# What `make check` runs: programs that print TAP.
CHECK_PROGRAMS = test/cli/tidy.sh $(UNITS) $(CHECK_EXTRA) $(foreach t,$(filter-out test/cli/tidy.sh,$(CLI_TESTS)),"$(RUN_CLI) $(t)")
.PHONY: check-build
check-build: $(O)/skep $(UNITS) $(CHECK_BUILD)

check-units: $(UNITS)
	@test/harness $^

check-kernel:
	@tools/deps kernel
	@rm -f $(TOTALS).kernel
	@$(MAKE) --no-print-directory -j$$(nproc) $(O)/skep $(KERNEL_BUILD)
	@test/harness --totals $(TOTALS).kernel --timeout 1200 $(KERNEL_PROGRAMS) $(foreach t,$(KERNEL_TESTS),"$(RUN_CLI) $(t)")
