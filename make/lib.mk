# lib: where compile.c looks for <skep/…>, and tests of its own that need the kernel and libbpf.
PREFIX ?= /usr/local
$(O)/src/lib/compile.o: CPPFLAGS += -DSKEP_SOURCE_INCLUDE='"$(abspath include)"' -DSKEP_PREFIX_INCLUDE='"$(PREFIX)/include"'

# Objects that tests and the fuzzer load: small programs, compiled with clang and libbpf's headers alone.
OBJECT_SRC := $(wildcard test/objects/*.bpf.c)
TEST_OBJECTS := $(OBJECT_SRC:test/objects/%.c=$(O)/objects/%.o)
OBJECT_FLAGS := -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Itest/objects -idirafter /usr/include/x86_64-linux-gnu
$(O)/objects/%.bpf.o: test/objects/%.bpf.c test/objects/object.h
	$(say) BPF $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(OBJECT_FLAGS) -c -o $@ $<
$(UNIT_lib): $(TEST_OBJECTS)
$(UNIT_lib): CPPFLAGS += -DTEST_OBJECTS='"$(abspath $(O))/objects"'

# The loader against libbpf, and the BTF check against the kernel's: same maps, instructions, records, verdicts, log lines.
LIB_ONLY := $(O)/lib/lib.a $(O)/lib/abi.a $(O)/lib/btf.a $(O)/lib/isa.a $(O)/lib/base.a
PEER_SRC := test/kernel/lib_libbpf.c test/kernel/peer.c test/kernel/peer_libbpf.c test/kernel/peer_skep.c
$(O)/test/kernel/lib_libbpf: $(PEER_SRC) test/kernel/peer.h test/kernel/no_engine.c $(LIB_ONLY)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/kernel $(filter-out -MMD -MP,$(ALL_CFLAGS)) -fvisibility=default $(LDFLAGS) -rdynamic -o $@ $(PEER_SRC) \
		test/kernel/no_engine.c $(LIB_ONLY) $(LIBS_lib) -lbpf -ldl
$(O)/test/kernel/btf_load $(O)/test/kernel/btf_c: $(O)/test/kernel/%: test/kernel/%.c test/kernel/no_engine.c $(LIB_ONLY)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< test/kernel/no_engine.c $(LIB_ONLY) $(LIBS_lib)
KERNEL_LIB := $(O)/test/kernel/lib_libbpf $(O)/test/kernel/btf_load $(O)/test/kernel/btf_c
# Debian's libbpf crashes on struct_ops.
PEER_OBJECTS := $(filter-out %/struct_ops.bpf.o %/struct_ops_kernel.bpf.o,$(TEST_OBJECTS))
KERNEL_PROGRAMS += "$(O)/test/kernel/lib_libbpf $(PEER_OBJECTS)" "$(O)/test/kernel/btf_load 300 $(TEST_OBJECTS)" \
	"$(O)/test/kernel/btf_c $(CLANG)"
KERNEL_BUILD += $(KERNEL_LIB) $(TEST_OBJECTS)
.PHONY: check-kernel-lib
check-kernel-lib: $(KERNEL_LIB) $(TEST_OBJECTS)
	@$(O)/test/kernel/lib_libbpf $(or $(OBJECTS),$(PEER_OBJECTS))
	@$(O)/test/kernel/btf_load 300 $(or $(OBJECTS),$(TEST_OBJECTS))
	@$(O)/test/kernel/btf_c $(CLANG)

# Without DWARF, which nobody reads: mutations should hit what matters.
LLVM_STRIP ?= llvm-strip
FUZZ_OBJECTS := $(TEST_OBJECTS:$(O)/objects/%=$(O)/objects/stripped/%)
$(FUZZ_OBJECTS): $(O)/objects/stripped/%: $(O)/objects/%
	@mkdir -p $(@D)
	$(Q)$(LLVM_STRIP) -g -o $@ $<

# Mutated object files, under sanitizers: make fuzz-elf [COUNT=1000000] [SEED=1] [OBJECTS=more of them]
FUZZ_ELF_SRC := fuzz/elf.c test/kernel/no_engine.c $(SRC_lib) $(filter-out src/abi/types_btf.c,$(SRC_abi)) $(SRC_btf) $(SRC_isa) $(SRC_base)
$(O)/fuzz/elf: $(FUZZ_ELF_SRC) $(wildcard src/lib/*.h src/btf/*.h) $(O)/src/abi/types_btf.o
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DSKEP_SOURCE_INCLUDE='""' -DSKEP_PREFIX_INCLUDE='""' $(filter-out -MMD -MP,$(ALL_CFLAGS)) \
		-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -o $@ $(FUZZ_ELF_SRC) $(O)/src/abi/types_btf.o $(LIBS_lib)
.PHONY: fuzz-elf
fuzz-elf: $(O)/fuzz/elf $(FUZZ_OBJECTS)
	@cd $(O)/fuzz && ! ASAN_OPTIONS=detect_leaks=0 ./elf 1000 --canary $(FUZZ_OBJECTS:$(O)/%=../%) >/dev/null 2>&1 || \
		{ echo "fuzz-elf: the canary was not found"; exit 1; }
	$(Q)cd $(O)/fuzz && FUZZ_BTF=../objects/core.bpf.o ./elf $(or $(COUNT),1000000) --seed $(or $(SEED),1) $(FUZZ_OBJECTS:$(O)/%=../%) $(OBJECTS)
