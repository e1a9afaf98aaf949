# hvdom, and the client library of its hypercall socket.
EXTRA_DIST += %D%/hypercall.h %D%/hvcall.h %D%/hvserver.h %D%/domcfg.h %D%/guestmem.h

# The hypercall socket: client, server and the check of its messages.
noinst_LIBRARIES += %D%/libhvcall.a
%C%_libhvcall_a_SOURCES = %D%/hvcall.c %D%/hvmsg.h %D%/hvmsg.c %D%/hvserver.c

# The file of a saved domain (needs $(LZ4_LIBS) $(XXHASH_LIBS)).
noinst_LIBRARIES += %D%/libsavefile.a
%C%_libsavefile_a_SOURCES = %D%/savefile.h %D%/savefile_read.c %D%/savefile_write.c
%C%_libsavefile_a_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(XXHASH_CFLAGS)
