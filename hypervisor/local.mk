# hvdom, and the client library of its hypercall socket.
EXTRA_DIST += %D%/hypercall.h %D%/hvcall.h %D%/hvserver.h %D%/domcfg.h %D%/guestmem.h

# The hypercall socket: client, server and the check of its messages.
noinst_LIBRARIES += %D%/libhvcall.a
%C%_libhvcall_a_SOURCES = %D%/hva.h %D%/hva.c %D%/hvcall.c %D%/hvmsg.h %D%/hvmsg.c %D%/hvserver.c

# How hvdom is started; what the host's CPU can do.
noinst_LIBRARIES += %D%/liblaunch.a
%C%_liblaunch_a_SOURCES = %D%/launch.h %D%/launch.c %D%/cpufeat.h %D%/cpufeat.c

# The file of a saved domain (needs $(LZ4_LIBS) $(XXHASH_LIBS)).
noinst_LIBRARIES += %D%/libsavefile.a
%C%_libsavefile_a_SOURCES = %D%/savefile.h %D%/savefile_read.c %D%/savefile_write.c
%C%_libsavefile_a_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(XXHASH_CFLAGS)

# The daemon: one process per domain.
noinst_LIBRARIES += %D%/libhv.a
%C%_libhv_a_SOURCES = %D%/engine.h %D%/engine.c %D%/lease.h %D%/lease.c %D%/cgroup.h %D%/cgroup.c %D%/stateframe.h %D%/stateframe.c %D%/conlog.h %D%/conlog.c \
	%D%/domain_int.h %D%/domain.c %D%/domcall.c %D%/dommem.c %D%/park.c
%C%_libhv_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
sbin_PROGRAMS += %D%/hvdom
%C%_hvdom_SOURCES = %D%/main.c
%C%_hvdom_LDADD = %D%/libhv.a %D%/pv/libpv.a %D%/pv/librestorer.a %D%/pv/libkernelfile.a %D%/dev/libhvdev.a %D%/xml/libdomxml.a %D%/libhvcall.a common/libcommon.a \
	$(XML_LIBS) $(URING_LIBS) $(XXHASH_LIBS)
