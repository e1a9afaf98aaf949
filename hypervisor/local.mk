# hvdom itself. What others may include is in api/.
EXTRA_DIST += %D%/guestmem.h

# The server side of the hypercall socket.
noinst_LIBRARIES += %D%/libhvserver.a
%C%_libhvserver_a_SOURCES = %D%/hvserver.h %D%/hvserver.c

# The daemon: one process per domain.
noinst_LIBRARIES += %D%/libhv.a
%C%_libhv_a_SOURCES = %D%/check.h %D%/check.c %D%/engine.h %D%/engine.c %D%/lease.h %D%/lease.c %D%/cgroup.h %D%/cgroup.c %D%/stateframe.h %D%/stateframe.c %D%/conlog.h %D%/conlog.c \
	%D%/domain_int.h %D%/domain.c %D%/stop.c %D%/slow.h %D%/slow.c %D%/domcall_int.h %D%/domcall.c %D%/domcall_own.c %D%/domcall_screen.c %D%/relay.h %D%/relay.c %D%/display.h %D%/display.c %D%/domplug.c %D%/domwait.c %D%/dommem.c %D%/frozen.c %D%/park.c %D%/watchdog.c
%C%_libhv_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XXHASH_CFLAGS)
sbin_PROGRAMS += %D%/hvdom
%C%_hvdom_SOURCES = %D%/main.c
%C%_hvdom_LDADD = %D%/libhv.a %D%/pv/libpv.a %D%/pv/librestorer.a %D%/pv/libkernelfile.a %D%/qemu/libqemu.a %D%/logdirty/liblogdirty.a %D%/dev/libhvdev.a %D%/api/libimgchain.a %D%/libhvserver.a %D%/api/xml/libdomxml.a clusterd/guard/libguard.a %D%/api/liblaunch.a %D%/api/libhvcall.a %D%/api/libpathconf.a \
	common/libcommon.a \
	$(JANSSON_LIBS) $(XML_LIBS) $(URING_LIBS) $(ZLIB_LIBS) $(XXHASH_LIBS)
CONF_FILES += %D%/paths.json:hospes/paths.json
EXTRA_DIST += %D%/paths.json
