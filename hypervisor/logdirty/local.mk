# Log-dirty for all engines: by hashes, by what an engine tracks, and what tracking needs of the kernel.
noinst_LIBRARIES += %D%/liblogdirty.a
%C%_liblogdirty_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
%C%_liblogdirty_a_SOURCES = %D%/logdirty.h %D%/logdirty.c %D%/hashlog.h %D%/hashlog.c %D%/uffd.h %D%/uffd.c %D%/softdirty.h %D%/softdirty.c
