# The BTF that skep ships: src/abi/types.h compiled for the bpf target, its .BTF section embedded by types_btf.c.
LLVM_OBJCOPY ?= llvm-objcopy
TYPES_BTF := $(O)/gen/types.btf
$(TYPES_BTF): src/abi/types.h src/abi/types_enums.def src/abi/uapi.h src/abi/uapi_ctx.h src/abi/uapi_enum.h \
		src/abi/regs.h $(wildcard src/abi/*.def)
	$(say) BTF $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -g -O2 -Wall -Wextra $(WERROR) -Isrc -DSKEP_BTF_SOURCE -x c -c $< -o $@.o
	$(Q)$(LLVM_OBJCOPY) --dump-section .BTF=$@ $@.o
$(O)/src/abi/types_btf.o: CPPFLAGS += -DSKEP_TYPES_BTF='"$(TYPES_BTF)"'
$(O)/src/abi/types_btf.o: $(TYPES_BTF)

# The tables against the running kernel; they need bpf() and skip without it.
KERNEL_ABI := $(patsubst test/kernel/%.c,$(O)/test/kernel/%,$(wildcard test/kernel/abi_*.c))
$(KERNEL_ABI): $(O)/test/kernel/%: test/kernel/%.c test/unit/test.h $(BELOW_abi:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(BELOW_abi:%=$(O)/lib/%.a)
.PHONY: kernel-abi
kernel-abi: $(KERNEL_ABI)
	@for t in $^; do timeout 300 $$t || exit 1; done
