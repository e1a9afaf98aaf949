# The migration daemon: core (pure), io, main.
noinst_LIBRARIES += %D%/libmigcore.a %D%/libmigio.a
%C%_libmigcore_a_SOURCES = %D%/core/mig.h %D%/core/mig.c %D%/core/controller.h %D%/core/controller.c \
	%D%/core/source.h %D%/core/source.c %D%/core/target.h %D%/core/target.c
%C%_libmigio_a_SOURCES = %D%/io/wire.h %D%/io/wire.c %D%/io/seal.h %D%/io/seal.c \
	%D%/io/memmap.h %D%/io/memmap.c %D%/io/outpipe.h %D%/io/outpipe.c %D%/io/inpipe.h %D%/io/inpipe.c %D%/io/hva.h %D%/io/hva.c
%C%_libmigio_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(ZMQ_CFLAGS) $(LZ4_CFLAGS) $(XXHASH_CFLAGS) $(JANSSON_CFLAGS) \
	$(CRYPTO_CFLAGS) $(CAPNG_CFLAGS)
MIGRATED_LIBS = %D%/libmigio.a %D%/libmigcore.a proto/libproto.a
MIGRATED_SYSLIBS = $(ZMQ_LIBS) $(PROTOBUFC_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) $(CAPNG_LIBS)
