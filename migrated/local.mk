# The migration daemon: core (pure), io, main.
noinst_LIBRARIES += %D%/libmigcore.a %D%/libmigio.a
%C%_libmigcore_a_SOURCES = %D%/core/mig.h %D%/core/mig.c %D%/core/controller.h %D%/core/controller.c \
	%D%/core/source.h %D%/core/source.c %D%/core/target.h %D%/core/target.c \
	%D%/core/window.h %D%/core/window.c
%C%_libmigio_a_SOURCES = \
	%D%/io/ctl.h %D%/io/ctl.c %D%/io/daemon.h %D%/io/daemon.c \
	%D%/io/incoming.h %D%/io/incoming_int.h %D%/io/incoming.c %D%/io/incoming_hvdom.c %D%/io/incoming_stray.c %D%/io/inpipe.h %D%/io/inpipe.c \
	%D%/io/hugehelp.h %D%/io/hugehelp.c %D%/io/journal.h %D%/io/journal.c %D%/io/knock.h %D%/io/knock.c %D%/io/leasefile.h %D%/io/leasefile.c \
	%D%/io/link.c %D%/io/memmap.h %D%/io/memmap.c %D%/io/orphan.h %D%/io/orphan.c \
	%D%/io/outgoing.h %D%/io/outgoing_int.h %D%/io/outgoing.c %D%/io/outgoing_hvdom.c %D%/io/outgoing_peer.c \
	%D%/io/outgoing_report.c %D%/io/outgoing_cost.c %D%/io/outbatch.h %D%/io/outbatch.c %D%/io/outpipe.h %D%/io/outpipe_int.h %D%/io/outpipe.c \
	%D%/io/peers.h %D%/io/peers.c %D%/io/pump.h %D%/io/pump.c %D%/io/preflight.h %D%/io/preflight.c %D%/io/preflight_ask.h %D%/io/preflight_ask.c %D%/io/priv.h %D%/io/priv.c %D%/io/seal.h %D%/io/seal.c \
	%D%/io/recorder.h %D%/io/recorder.c %D%/io/standing.h %D%/io/standing.c \
	%D%/io/wire.h %D%/io/wire.c %D%/io/zsock.h %D%/io/zsock.c
%C%_libmigio_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(ZMQ_CFLAGS) $(LZ4_CFLAGS) $(XXHASH_CFLAGS) $(JANSSON_CFLAGS) \
	$(GCRYPT_CFLAGS)
MIGRATED_LIBS = %D%/libmigio.a clusterd/guard/libguard.a %D%/libmigcore.a proto/libproto.a hypervisor/api/liblaunch.a hypervisor/api/libimgchain.a hypervisor/api/libpathconf.a hypervisor/api/libhvcall.a hypervisor/api/xml/libdomxml.a common/libdaemon.a common/libcommon.a
MIGRATED_SYSLIBS = $(ZMQ_LIBS) $(PROTOBUFC_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS) $(JANSSON_LIBS) $(GCRYPT_LIBS) $(CAPNG_LIBS) $(XML_LIBS)

if HYPERVISOR
sbin_PROGRAMS += %D%/migrated
# with a connect() of its own, which no other program shall have
%C%_migrated_SOURCES = %D%/main.c %D%/io/congestion.h %D%/io/congestion.c
%C%_migrated_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(ZMQ_CFLAGS) $(JANSSON_CFLAGS)
%C%_migrated_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
nodist_systemdunit_DATA += %D%/migrated.service
EXTRA_DIST += %D%/migrated.service.in
CLEANFILES += %D%/migrated.service
CONF_FILES += %D%/migrated.json:hospes/migrated.json
EXTRA_DIST += %D%/migrated.json
endif
