# What other programs may know of hvdom: its hypercall socket, a domain's definition, how it is started, the file of a saved one.
EXTRA_DIST += %D%/hypercall.h %D%/hvcall.h %D%/domcfg.h
# tables, in both libraries that look into them: each is linked without the other somewhere
domarch_sources = %D%/domarch.h %D%/domarch.c
include hypervisor/api/xml/local.mk

# The hypercall socket: client, and the check of its messages; a domain's files, its process, what its lease says.
noinst_LIBRARIES += %D%/libhvcall.a
%C%_libhvcall_a_SOURCES = %D%/dompath.h %D%/dompath.c %D%/hva.h %D%/hva.c %D%/hvcall.c %D%/hvmsg.h %D%/hvmsg.c %D%/rundir.h %D%/rundir.c \
	%D%/hvproc.h %D%/hvproc.c %D%/leaserec.h %D%/leaserec.c %D%/memcheck.h %D%/memcheck.c
%C%_libhvcall_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)

# How hvdom is started and asked what it can run; what the host's CPU can do (needs $(JANSSON_LIBS)).
noinst_LIBRARIES += %D%/liblaunch.a
%C%_liblaunch_a_SOURCES = %D%/hvcheck.h %D%/hvcheck.c %D%/launch.h %D%/launch.c %D%/cpufeat.h %D%/cpufeat.c
%C%_liblaunch_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

# Where the files may be that a definition names, and firmware that it does not name (needs $(JANSSON_LIBS)).
noinst_LIBRARIES += %D%/libpathconf.a
%C%_libpathconf_a_SOURCES = %D%/pathconf.h %D%/pathconf.c %D%/firmware.h %D%/firmware.c $(domarch_sources)
%C%_libpathconf_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

# What a device stands on: a disk's image and those below it, a NIC's tap.
noinst_LIBRARIES += %D%/libimgchain.a
%C%_libimgchain_a_SOURCES = %D%/tap.h %D%/tap.c %D%/imgchain.h %D%/imgchain.c %D%/qcow2head.h %D%/qcow2head.c

# The file of a saved domain (needs $(LZ4_LIBS) $(XXHASH_LIBS)).
noinst_LIBRARIES += %D%/libsavefile.a
%C%_libsavefile_a_SOURCES = %D%/savefile.h %D%/savefile_read.c %D%/savefile_write.c
%C%_libsavefile_a_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(XXHASH_CFLAGS)
