# The kernel's own test suites, unpacked from Debian's source package at test time: never part of this tree. Needs the
# packages linux-source-6.12 and clang-19 (tools/deps kernel); test_verifier linux-source-6.1, too.
SUITE := $(abspath $(O))/suite
SUITE_OBJECTS = $(SUITE)/objects/*.bpf.o
.PHONY: suite-objects check-suite
suite-objects:
	@test/suite/build.sh $(SUITE)
$(O)/test/suite/%: test/suite/%.c test/suite/judge.c test/suite/judge.h $(BELOW_lib:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -Itest/suite -o $@ $< test/suite/judge.c -Wl,--start-group $(BELOW_lib:%=$(O)/lib/%.a) \
		-Wl,--end-group $(LIBS_hook) $(LIBS_lib) -lpthread
CHECK_SUITE = $(O)/test/suite/annotated --known test/suite/known.txt --not-yet 0 $(SUITE_OBJECTS)
check-suite: $(O)/test/suite/annotated suite-objects
	@$(CHECK_SUITE)

# Verdicts on changed programs of objects, the kernel beside: COUNT= of each program, SEED=, OBJECTS=.
$(O)/fuzz/verdict: fuzz/verdict.c fuzz/random.h fuzz/shape.h $(BELOW_lib:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -I. $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< -Wl,--start-group $(BELOW_lib:%=$(O)/lib/%.a) \
		-Wl,--end-group $(LIBS_hook) $(LIBS_lib) -lpthread
.PHONY: fuzz-verdict
fuzz-verdict: $(O)/fuzz/verdict $(if $(OBJECTS),,suite-objects)
	$< --each $(or $(COUNT),300) --seed $(or $(SEED),1) --parity $(or $(OBJECTS),$(SUITE_OBJECTS))
KERNEL_BUILD += $(O)/test/suite/annotated $(O)/fuzz/verdict suite-objects
KERNEL_PROGRAMS += "$(CHECK_SUITE)" "$(O)/fuzz/verdict --each 4 $(SUITE_OBJECTS)"

# libFuzzer on the verifier, from those programs: COUNT= inputs.
FUZZ_VERIFY_SRC := fuzz/libfuzzer.c $(SRC_verify) $(filter-out src/abi/types_btf.c,$(SRC_abi)) $(SRC_btf) $(SRC_isa) $(SRC_base)
$(O)/fuzz/verify: $(FUZZ_VERIFY_SRC) $(wildcard src/verify/*.h src/btf/*.h fuzz/*.h) $(O)/src/abi/types_btf.o
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -I. $(filter-out -MMD -MP,$(ALL_CFLAGS)) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(FUZZ_VERIFY_SRC) $(O)/src/abi/types_btf.o
.PHONY: fuzz-verify
fuzz-verify: $(O)/fuzz/verify $(O)/fuzz/verdict $(if $(OBJECTS),,suite-objects)
	@mkdir -p $(O)/fuzz/corpus
	@[ -e $(O)/fuzz/corpus/000000 ] || $(O)/fuzz/verdict --corpus $(O)/fuzz/corpus $(or $(OBJECTS),$(SUITE_OBJECTS))
	cd $(O)/fuzz && ./verify -max_len=60000 -timeout=20 -rss_limit_mb=4096 -runs=$(or $(COUNT),1000000) -seed=$(or $(SEED),1) corpus

# test_verifier, once on the kernel and once with its bpf(2) calls sent to skep.
$(O)/test/suite/interpose.so: test/suite/interpose.c $(BELOW_lib:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -shared -o $@ $< -Wl,--start-group \
		$(BELOW_lib:%=$(O)/lib/%.a) -Wl,--end-group $(LIBS_hook) $(LIBS_lib) -lpthread -ldl
.PHONY: check-test-verifier
check-test-verifier: $(O)/test/suite/interpose.so
	@test/suite/test_verifier.sh $(SUITE) $(abspath $<)

# Programs that others have written: the rest of that suite, and what Debian's packages have compiled.
CORPUS = $(SUITE)/corpus/*/*.bpf.o
.PHONY: check-corpus bench-corpus
check-corpus: $(O)/test/suite/corpus suite-objects
	@test/suite/corpus.sh $(SUITE)
	@$< --known test/suite/corpus.txt --not-yet 0 $(CORPUS)
# How long loading them takes, beside the kernel; part of bench-verify.
bench-corpus: $(O)/test/suite/corpus
	@if test/suite/build.sh $(SUITE) && test/suite/corpus.sh $(SUITE); then \
		$< --time 5 $(CORPUS) | grep -A9 '^# accepted'; else echo "programs of others: left out"; fi
bench-verify: bench-corpus
