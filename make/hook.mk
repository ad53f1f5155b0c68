# The end-to-end tests of launch mode: targets in their several forms, and the driver (test/launch/launch.c).
TARGET_NAMES := loop threads children signals restart cancel storm untouched odd
TARGET_DIR := $(O)/test/targets
TARGETS_BUILT := $(TARGET_NAMES:%=$(TARGET_DIR)/%) $(TARGET_NAMES:%=$(TARGET_DIR)/%.static) $(TARGET_NAMES:%=$(TARGET_DIR)/%.static-pie) \
	$(TARGET_DIR)/later $(TARGET_DIR)/later.so $(TARGET_DIR)/tracer $(TARGET_DIR)/filter $(TARGET_DIR)/filter.static
ifneq ($(shell command -v musl-gcc),)
TARGETS_BUILT += $(TARGET_NAMES:%=$(TARGET_DIR)/%.musl) $(TARGET_NAMES:%=$(TARGET_DIR)/%.musl-static)
endif
TARGET_FLAGS := -O2 -g -Wall -Wextra -Wno-clobbered -Itest/targets -pthread
$(TARGET_DIR)/%: test/targets/%.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -o $@ $<
$(TARGET_DIR)/%.static: test/targets/%.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -static -o $@ $<
$(TARGET_DIR)/%.static-pie: test/targets/%.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -static-pie -o $@ $<
$(TARGET_DIR)/%.musl: test/targets/%.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)musl-gcc $(TARGET_FLAGS) -o $@ $<
$(TARGET_DIR)/%.musl-static: test/targets/%.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)musl-gcc $(TARGET_FLAGS) -static -o $@ $<
$(TARGET_DIR)/later.so: test/targets/later_lib.c test/targets/target.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -fPIC -shared -o $@ $<

LAUNCH_COMMON := test/launch/common.c test/launch/count.S
LAUNCH_DEPS := test/launch/common.h test/launch/oracle.h test/unit/test.h $(BELOW_hook:%=$(O)/lib/%.a)
launch_link = $(CC) $(CPPFLAGS) -Itest/unit -Itest/launch $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $(filter %.c %.S,$^) \
	$(BELOW_hook:%=$(O)/lib/%.a) $(LIBS_hook) -lpthread
$(O)/test/launch: test/launch/launch.c test/launch/oracle.c $(LAUNCH_COMMON) $(LAUNCH_DEPS)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(launch_link)
$(O)/test/traps: test/launch/traps.c $(LAUNCH_COMMON) $(LAUNCH_DEPS)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(launch_link)
$(O)/test/jail: test/launch/jail.c
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(LDFLAGS) -o $@ $< -lseccomp
$(O)/test/kills: test/launch/kills.c $(LAUNCH_COMMON) $(LAUNCH_DEPS)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(launch_link)
.PHONY: check-launch check-launch-nobody check-launch-jail
check-launch: $(O)/test/launch $(O)/test/traps $(O)/test/kills $(TARGETS_BUILT)
	@SKEP_TEST_CACHE=$(O)/test/sites timeout 300 $(O)/test/launch $(TARGET_DIR)
	@SKEP_TEST_CACHE=$(O)/test/sites timeout 300 $(O)/test/traps $(TARGET_DIR)
	@SKEP_TEST_CACHE=$(O)/test/sites timeout 300 $(O)/test/kills 20
# The same without any privilege (for root: as nobody), and as in a container.
NOBODY := setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all
check-launch-nobody: $(O)/test/launch $(O)/test/traps $(O)/test/kills $(TARGETS_BUILT)
	@timeout 300 $(NOBODY) $(O)/test/launch $(TARGET_DIR)
	@timeout 300 $(NOBODY) $(O)/test/traps $(TARGET_DIR)
	@timeout 300 $(NOBODY) $(O)/test/kills 10
check-launch-jail: $(O)/test/launch $(O)/test/traps $(O)/test/jail $(TARGETS_BUILT)
	@timeout 300 $(O)/test/jail $(O)/test/launch $(TARGET_DIR)
	@timeout 300 $(O)/test/jail --old $(O)/test/traps $(TARGET_DIR)

$(O)/bench/hook: bench/hook.c bench/hook_programs.S test/launch/oracle.c test/launch/oracle.h $(BELOW_hook:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(filter-out -MMD -MP,$(ALL_CFLAGS)) -o $@ bench/hook.c bench/hook_programs.S test/launch/oracle.c $(BELOW_hook:%=$(O)/lib/%.a) $(LIBS_hook) -lpthread
.PHONY: bench-hook
bench-hook: $(O)/bench/hook
	@$<
