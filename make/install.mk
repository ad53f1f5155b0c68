# The library, and installing.
VERSION := 0.1.0
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib

$(O)/libskep.a: $(CORE_LIBS)
	$(say) AR $@
	$(Q)rm -rf $(O)/libskep && mkdir -p $(O)/libskep
	$(Q)$(LD) -r -o $(O)/libskep/skep.o --whole-archive $(CORE_LIBS)
	$(Q)$(OBJCOPY) --localize-hidden $(O)/libskep/skep.o && rm -f $@ && $(AR) rcs $@ $(O)/libskep/skep.o
$(O)/libskep.so.0: $(CORE_LIBS) src/lib/libskep.map
	$(say) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libskep.so.0 -Wl,--version-script=src/lib/libskep.map \
		-o $@ -Wl,--whole-archive $(CORE_LIBS) -Wl,--no-whole-archive $(LIBS_lib) $(LIBS_hook)

all: $(O)/libskep.a $(O)/libskep.so.0

.PHONY: install uninstall
INSTALLED = $(PREFIX)/bin/skep $(LIBDIR)/libskep.a $(LIBDIR)/libskep.so.0 $(LIBDIR)/libskep.so $(LIBDIR)/pkgconfig/skep.pc \
	$(patsubst include/%,$(PREFIX)/include/%,$(shell find include -type f))
install: all
	install -d $(sort $(dir $(addprefix $(DESTDIR),$(INSTALLED))))
	install -m 755 $(O)/skep $(DESTDIR)$(PREFIX)/bin/skep
	install -m 644 $(O)/libskep.a $(DESTDIR)$(LIBDIR)/libskep.a
	install -m 755 $(O)/libskep.so.0 $(DESTDIR)$(LIBDIR)/libskep.so.0
	ln -sf libskep.so.0 $(DESTDIR)$(LIBDIR)/libskep.so
	cd include && find . -type f -exec install -m 644 {} $(DESTDIR)$(PREFIX)/include/{} \;
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' packaging/skep.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/skep.pc
uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
