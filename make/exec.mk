# exec: the encoder's test decodes with Zydis.
LIBS_unit_exec := -lZydis
