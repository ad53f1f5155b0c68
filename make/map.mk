# Map operations and helpers in ns (bench/map.c).
$(O)/bench/map: bench/map.c $(BELOW_helper:%=$(O)/lib/%.a)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ $< $(BELOW_helper:%=$(O)/lib/%.a)
.PHONY: bench-map
bench-map: $(O)/bench/map
	@$(O)/bench/map
