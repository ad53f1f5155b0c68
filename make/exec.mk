# exec: the encoder's test decodes with Zydis.
LIBS_unit_exec := -lZydis

# The sixteen programs in every engine (bench/jit.c).
BENCH_PROGRAMS := empty alu log2 prime sieve copy strcmp csum switch fnv jhash sip parse divc bits bsearch spill
$(O)/bench/%.bpf.o: bench/programs/programs.c bench/programs/programs.h
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -target bpf -mcpu=v3 -fno-builtin -DP_$* -c -o $@ $<
$(O)/bench/%.native.o: bench/programs/programs.c bench/programs/programs.h
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -fno-builtin -DP_$* '-DFN(n)=native_$*' -c -o $@ $<
$(O)/bench/jit: bench/jit.c bench/jit_compile.c bench/jit_compile.h $(BENCH_PROGRAMS:%=$(O)/bench/%.native.o) $(BELOW_exec:%=$(O)/lib/%.a)
	$(say) LD $@
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ bench/jit.c bench/jit_compile.c $(BENCH_PROGRAMS:%=$(O)/bench/%.native.o) $(BELOW_exec:%=$(O)/lib/%.a) -lm
.PHONY: bench-jit
bench-jit: $(O)/bench/jit $(BENCH_PROGRAMS:%=$(O)/bench/%.bpf.o)
	@$(O)/bench/jit $(O)/bench

# Random programs: the interpreter against machine code. COUNT= SEED=
$(O)/fuzz/exec: fuzz/exec.c test/unit/exec_test.h test/unit/test.h $(BELOW_exec:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest/unit $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(BELOW_exec:%=$(O)/lib/%.a)
.PHONY: fuzz-exec
fuzz-exec: $(O)/fuzz/exec
	@! $(O)/fuzz/exec --canary >/dev/null || { echo "fuzz-exec: the canary was not found"; exit 1; }
	@$(O)/fuzz/exec $(or $(COUNT),200000) $(or $(SEED),1)
