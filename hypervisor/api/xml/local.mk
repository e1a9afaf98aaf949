# Domain XML: libdomxml.a (needs $(XML_LIBS)).
noinst_LIBRARIES += %D%/libdomxml.a
%C%_libdomxml_a_SOURCES = $(domarch_sources) %D%/domxml_int.h %D%/domxml_arch.c %D%/domxml_bus.c %D%/domxml_dev.c %D%/domxml_display.c %D%/domxml_format.c %D%/domxml_hvm.c %D%/domxml_known.c %D%/domxml_meta.c %D%/domxml_os.c %D%/domxml_parse.c %D%/domxml_plug.c \
	%D%/domxml_rules.c %D%/domxml_util.c
%C%_libdomxml_a_CFLAGS = $(AM_CFLAGS) $(XML_CFLAGS)
