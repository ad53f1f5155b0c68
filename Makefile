# skep: one non-recursive makefile.
#   make            the command, build/skep, and the library, build/libskep.a and .so
#   make run        install what is missing, build, and run an example on a real command
#   make check      all tests that need nothing but this tree (also as an ordinary user)
#   make check-kernel   the comparison with the running kernel and its suites
#   make unit-ROOM  unit tests of one room, linked with its own floor and those below only
#   make bench fuzz soak bless tidy install clean
# Variables: V=1 (show commands)  O=DIR (build folder)  CC=  CROSS_COMPILE=  SAN=address,undefined  DEBUG=1  WERROR=
O ?= build
CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
OBJCOPY := $(CROSS_COMPILE)objcopy
LD := $(CROSS_COMPILE)ld
AR := $(CROSS_COMPILE)ar
NM := $(CROSS_COMPILE)nm
CLANG ?= clang
WERROR ?= -Werror
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all
ifeq ($(V),1)
Q :=
say := @:
else
Q := @
say := @printf '  %-8s %s\n'
endif

FLOORS := base isa btf abi map verify helper exec runtime hook lib serve cli
# Libraries by room: floors 0-4 need libc alone.
LIBS_hook := -lZydis
LIBS_lib := -lelf -lz
LIBS_cli := -ljansson -lpcap
# The pages of skep explain (make/cli.mk).
EXTRA_OBJ_cli := $(O)/src/cli/explain_texts.o

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wpointer-arith -Wno-unused-parameter \
	-Wno-missing-field-initializers -Wno-sign-compare -Wno-override-init -Wno-initializer-overrides -Wno-unknown-warning-option $(WERROR)
CPPFLAGS := -Isrc -Iinclude -I$(O)/gen -D_GNU_SOURCE -DSKEP_BUILD
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) -fPIC -fvisibility=hidden -fno-strict-aliasing -MMD -MP
LDFLAGS ?=
ifdef SAN
ALL_CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SAN)
endif
ifdef DEBUG
CPPFLAGS += -DSKEP_DEBUG -DSKEP_SLOW_CHECKS
endif

define room
SRC_$(1) := $$(filter-out src/hook/target/%,$$(wildcard src/$(1)/*.c src/$(1)/*/*.c))
OBJ_$(1) := $$(SRC_$(1):%.c=$(O)/%.o) $$(EXTRA_OBJ_$(1))
$(O)/lib/$(1).a: $$(OBJ_$(1))
	$$(say) AR $$@
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef

$(O)/src/%.o: src/%.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# The data plane image: the same sources as in the library, freestanding, linked flat; it runs inside traced processes.
# map/ and helper/ (but *_syscall.c, which is control plane) and hook/target/.
DP_SRC := $(filter-out %_syscall.c,$(wildcard src/map/*.c src/helper/*.c)) $(wildcard src/hook/target/*.c src/hook/target/*.S)
DP_OBJ := $(patsubst src/%.c,$(O)/dp/%.o,$(filter %.c,$(DP_SRC))) $(patsubst src/%.S,$(O)/dp/%.o,$(filter %.S,$(DP_SRC)))
DP_CFLAGS := -std=gnu11 -O2 $(WARN) -DSKEP_DATAPLANE_IMAGE -ffreestanding -fpie -fvisibility=hidden -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-jump-tables -fno-strict-aliasing \
	-fno-tree-loop-distribute-patterns -MMD -MP
$(O)/dp/%.o: src/%.c
	$(say) DP $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(DP_CFLAGS) -c -o $@ $<
$(O)/dp/%.o: src/%.S
	$(say) DP $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DSKEP_DATAPLANE_IMAGE -c -o $@ $<
$(O)/dp/dataplane.elf: src/hook/dataplane.ld $(DP_OBJ)
	$(say) LD $@
	$(Q)$(LD) -nostdlib --no-undefined -pie --no-dynamic-linker -z noexecstack -T $< -o $@ $(DP_OBJ)
	$(Q)if $(CROSS_COMPILE)readelf -rW $@ | grep -q R_; then echo "dataplane image has relocations:"; $(CROSS_COMPILE)readelf -rW $@ | head; rm -f $@; exit 1; fi
$(O)/gen/dataplane.bin: $(O)/dp/dataplane.elf
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) -O binary $< $@
# enum dp_symbol → offset in the image, from abi/dataplane.def and the linked image
$(O)/gen/dataplane_offsets.inc: $(O)/dp/dataplane.elf src/abi/dataplane.def
	@mkdir -p $(@D)
	$(Q)$(NM) $< | awk '$$2 ~ /[Tt]/ { print "OFFSET(" $$3 ", 0x" $$1 ")" }' > $@
$(O)/src/hook/dataplane_image.o: $(O)/gen/dataplane.bin $(O)/gen/dataplane_offsets.inc

$(foreach r,$(FLOORS),$(eval $(call room,$(r))))

ROOM_LIBS := $(FLOORS:%=$(O)/lib/%.a)
CORE_LIBS := $(filter-out $(O)/lib/cli.a,$(ROOM_LIBS))
ALL_LIBS := $(LIBS_cli) $(LIBS_lib) $(LIBS_hook)

# The command. The archives are grouped by floor, the highest first.
reverse = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
$(O)/skep: $(ROOM_LIBS)
	$(say) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ -Wl,--whole-archive $(O)/lib/cli.a -Wl,--no-whole-archive $(call reverse,$(CORE_LIBS)) $(ALL_LIBS)

.PHONY: all
all: $(O)/skep

# Unit tests: test/unit/ROOM_*.c, linked with the archives of that room and of lower floors.
BELOW_base := base
BELOW_isa := isa base
BELOW_btf := btf base
BELOW_abi := abi btf isa base
BELOW_map := map $(BELOW_abi)
BELOW_verify := verify $(BELOW_abi)
BELOW_helper := helper $(BELOW_map)
BELOW_exec := exec helper verify $(BELOW_map)
BELOW_runtime := runtime $(BELOW_exec)
BELOW_hook := hook $(BELOW_runtime)
BELOW_lib := lib $(BELOW_hook)
BELOW_serve := serve $(BELOW_lib)
define unit
UNIT_$(1) := $$(patsubst test/unit/%.c,$(O)/test/%,$$(wildcard test/unit/$(1)_*.c))
$$(UNIT_$(1)): $(O)/test/%: test/unit/%.c test/unit/test.h $(BELOW_$(1):%=$(O)/lib/%.a)
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS) -Itest/unit $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$< $(BELOW_$(1):%=$(O)/lib/%.a) $$(if $$(filter hook lib serve,$(1)),$(LIBS_hook)) $$(if $$(filter lib serve,$(1)),$(LIBS_lib)) $$(LIBS_unit_$(1)) -lpthread
.PHONY: unit-$(1)
unit-$(1): $$(UNIT_$(1))
	@for t in $$^; do timeout 300 $$$$t || exit 1; done
UNITS += $$(UNIT_$(1))
endef
$(foreach r,$(filter-out cli,$(FLOORS)),$(eval $(call unit,$(r))))

# Each room's rules; check.mk last: it runs what the others name.
include $(filter-out make/check.mk,$(wildcard make/*.mk)) make/check.mk

.PHONY: clean
clean:
	rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
