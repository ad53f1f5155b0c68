# The soundness machine. Its library is a test build of the floors up to runtime, with the planted holes compiled in and
# AddressSanitizer on: in a build folder of its own.
SOUND_O := $(O)/sound
PROGRAMS ?= 200000
.PHONY: soundness-build fuzz-soundness check-soundness check-holes
soundness-build:
	@$(MAKE) --no-print-directory -j$$(nproc) O=$(SOUND_O) SAN=address,undefined CFLAGS='-O1 -g -DSKEP_HOLES' $(SOUND_O)/soundness
$(O)/soundness: fuzz/soundness.c fuzz/generate.c fuzz/reduce.c fuzz/walk.c $(wildcard fuzz/*.h) $(BELOW_runtime:%=$(O)/lib/%.a)
	$(say) LD $@
	$(Q)$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) $(LDFLAGS) -o $@ fuzz/soundness.c fuzz/generate.c fuzz/reduce.c fuzz/walk.c $(BELOW_runtime:%=$(O)/lib/%.a) -lpthread

# The full run; SEED starts another one.
SEED ?= 1
SOUND_KERNEL = $(if $(shell [ $$(id -u) = 0 ] && echo y),--kernel)
fuzz-soundness: soundness-build
	$(SOUND_O)/soundness --programs $(PROGRAMS) --seed $(SEED) $(SOUND_KERNEL)

# Short: 20,000 accepted programs, every planted hole, the walks of 10,000. All print TAP and belong to check-kernel.
check-soundness: soundness-build
	timeout 600 $(SOUND_O)/soundness --programs 20000 $(SOUND_KERNEL)
check-holes: soundness-build
	timeout 600 $(SOUND_O)/soundness --holes
KERNEL_BUILD += soundness-build
KERNEL_PROGRAMS += "$(SOUND_O)/soundness --programs 20000 $(SOUND_KERNEL)" "$(SOUND_O)/soundness --holes" \
	"$(SOUND_O)/soundness --programs 5000 --no-perfmon $(SOUND_KERNEL)" \
	"$(SOUND_O)/soundness --walk --programs 10000"
