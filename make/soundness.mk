# The soundness machine. Its library is a test build of the floors up to runtime, with the planted holes compiled in and
# AddressSanitizer on: in a build folder of its own.
SOUND_O := $(O)/sound
PROGRAMS ?= 200000
.PHONY: soundness-build fuzz-soundness
soundness-build:
	@$(MAKE) --no-print-directory -j$$(nproc) O=$(SOUND_O) SAN=address,undefined CFLAGS='-O1 -g -DSKEP_HOLES' $(SOUND_O)/soundness
$(O)/soundness: fuzz/soundness.c fuzz/generate.c $(BELOW_runtime:%=$(O)/lib/%.a)
	$(say) LD $@
	$(Q)$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) $(LDFLAGS) -o $@ fuzz/soundness.c fuzz/generate.c $(BELOW_runtime:%=$(O)/lib/%.a) -lpthread

fuzz-soundness: soundness-build
	$(SOUND_O)/soundness --programs $(PROGRAMS) $(if $(shell [ $$(id -u) = 0 ] && echo y),--kernel)
