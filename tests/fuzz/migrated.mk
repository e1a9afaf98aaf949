# Fuzz targets of migrated: see local.mk.
fuzz_tests += %D%/replay_migcontrol %D%/replay_migframe %D%/replay_migfiles
FUZZ_MIG_SYSLIBS = $(ZMQ_LIBS) $(PROTOBUFC_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS) $(JANSSON_LIBS) $(GCRYPT_LIBS) $(CAPNG_LIBS) $(XML_LIBS)

%C%_replay_migcontrol_SOURCES = %D%/fuzz_migcontrol.c $(FUZZ_REPLAY)
%C%_replay_migcontrol_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migcontrol"'
%C%_replay_migcontrol_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
FUZZERS += fuzz/migcontrol
fuzz/migcontrol: FUZZ_LIBS = $(PROTOBUFC_LIBS)
fuzz/migcontrol: %D%/fuzz_migcontrol.c migrated/io/wire.c migrated/core/mig.c proto/migration.pb-c.c common/buf.c common/err.c common/util.c
	$(FUZZ_LINK)

%C%_replay_migframe_SOURCES = %D%/fuzz_migframe.c $(FUZZ_REPLAY)
%C%_replay_migframe_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migframe"'
%C%_replay_migframe_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
FUZZERS += fuzz/migframe
fuzz/migframe: FUZZ_LIBS = $(FUZZ_MIG_SYSLIBS)
fuzz/migframe: %D%/fuzz_migframe.c migrated/io/wire.c migrated/io/inpipe.c migrated/io/priv.c migrated/io/seal.c migrated/io/memmap.c hypervisor/api/memcheck.c hypervisor/api/dompath.c hypervisor/api/rundir.c migrated/core/mig.c \
	hypervisor/api/hvcall.c hypervisor/api/hvmsg.c proto/migration.pb-c.c common/buf.c common/caps.c common/err.c common/util.c common/loop.c
	$(FUZZ_LINK)

%C%_replay_migfiles_SOURCES = %D%/fuzz_migfiles.c $(FUZZ_REPLAY)
%C%_replay_migfiles_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migfiles"'
%C%_replay_migfiles_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
FUZZERS += fuzz/migfiles
fuzz/migfiles: FUZZ_LIBS = $(FUZZ_MIG_SYSLIBS)
fuzz/migfiles: FUZZ_CFLAGS = -DHOSPES_SBINDIR='"$(sbindir)"' $(XML_CFLAGS)
fuzz/migfiles: %D%/fuzz_migfiles.c clusterd/guard/leaving.c clusterd/guard/managed.c hypervisor/api/pathconf.c hypervisor/api/leaserec.c hypervisor/api/memcheck.c hypervisor/api/rundir.c $(addprefix migrated/io/, ctl.c daemon.c incoming.c incoming_hvdom.c incoming_stray.c inpipe.c journal.c knock.c leasefile.c link.c memmap.c \
	orphan.c outgoing.c outgoing_hvdom.c outgoing_peer.c outgoing_report.c outpipe.c peers.c preflight.c preflight_ask.c priv.c recorder.c seal.c standing.c wire.c zsock.c) \
	$(addprefix migrated/core/, mig.c controller.c source.c target.c window.c) hypervisor/api/hva.c hypervisor/api/hvcall.c hypervisor/api/hvmsg.c hypervisor/api/cpufeat.c hypervisor/api/dompath.c hypervisor/api/hvcheck.c hypervisor/api/hvproc.c hypervisor/api/launch.c hypervisor/pv/kernelfile.c \
	$(addprefix hypervisor/api/xml/, domxml_dev.c domxml_format.c domxml_known.c domxml_parse.c domxml_util.c) \
	proto/migration.pb-c.c common/buf.c common/err.c common/util.c common/caps.c common/ctlsock.c common/fault.c common/hostname.c common/loop.c common/log.c common/worker.c common/clocks.c clusterd/guard/deadline.c common/pathopen.c common/procs.c
	$(FUZZ_LINK)
