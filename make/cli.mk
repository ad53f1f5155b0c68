# The pages of skep explain are part of the command.
EXPLAIN_TEXTS := src/cli/explain/prelude.txt $(filter-out src/cli/explain/prelude.txt,$(sort $(wildcard src/cli/explain/*.txt)))
$(O)/gen/explain.txt: $(EXPLAIN_TEXTS)
	@mkdir -p $(@D)
	$(Q)cat $^ > $@
$(O)/src/cli/explain_texts.o: $(O)/gen/explain.txt
	$(say) AS $@
	@mkdir -p $(@D)
	$(Q)printf '.section .rodata\n.global explain_texts, explain_texts_end\nexplain_texts: .incbin "%s"\nexplain_texts_end: .byte 0\n.section .note.GNU-stack\n' $< | $(CC) -c -x assembler -o $@ -
