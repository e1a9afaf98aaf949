# The cluster daemon: what touches the machine.
noinst_LIBRARIES += %D%/libcluio.a
%C%_libcluio_a_SOURCES = %D%/balancer.h %D%/balancer.c %D%/cluctl.h %D%/cluctl_int.h %D%/cluctl.c %D%/cluctl_leave.c %D%/cluctl_order.c %D%/cluctl_push.c %D%/cluctl_show.c %D%/cluctl_rehearse.c %D%/cluctl_cpu.c %D%/cluctl_disarm.c %D%/cluctl_set.c \
	%D%/cluwire.h %D%/cluwire_int.h %D%/cluwire.c %D%/cluwire_cmd.c %D%/cpg.h %D%/cpg.c \
	%D%/domspec.h %D%/domspec.c %D%/fence.h %D%/fence.c %D%/guardlink.h %D%/guardlink.c %D%/hostinfo.h %D%/hostinfo.c %D%/leave.h %D%/leave.c \
	%D%/local.h %D%/local_int.h %D%/local.c %D%/local_end.c %D%/local_hv.c %D%/local_move.c %D%/local_park.c %D%/local_reach.c %D%/local_run.c \
	%D%/migorder.h %D%/migorder.c %D%/nodeio.h %D%/nodeio_int.h %D%/nodeio.c %D%/nodeio_answer.c %D%/nodeio_clock.c %D%/nodeio_event.c %D%/nodeio_propose.c %D%/nodeio_pump.c %D%/nodeio_store.c %D%/probe.h %D%/probe.c \
	%D%/store.h %D%/store.c %D%/storer.h %D%/storer.c %D%/eventlist.h %D%/eventlist.c
%C%_libcluio_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(COROSYNC_CFLAGS) $(SQLITE_CFLAGS) $(XXHASH_CFLAGS) $(JANSSON_CFLAGS) \
	$(XML_CFLAGS)
CLUSTERD_LIBS = %D%/libcluio.a clusterd/guard/libguard.a clusterd/core/libclucore.a clusterd/core/libcluplan.a clusterd/core/libclucore.a proto/libproto.a \
	hypervisor/api/liblaunch.a hypervisor/api/libimgchain.a hypervisor/api/libpathconf.a hypervisor/api/libhvcall.a hypervisor/api/xml/libdomxml.a common/libdaemon.a common/libcommon.a
CLUSTERD_SYSLIBS = $(COROSYNC_LIBS) $(PROTOBUFC_LIBS) $(SQLITE_LIBS) $(XXHASH_LIBS) $(JANSSON_LIBS) $(CAPNG_LIBS) $(XML_LIBS)
# datagrams beside Corosync
%C%_libcluio_a_SOURCES += %D%/aside.h %D%/aside.c %D%/nodeio_config.c %D%/nodeio_reach.c %D%/pulseio.h %D%/pulseio.c %D%/reachwire.h %D%/reachwire.c
%C%_libcluio_a_CFLAGS += $(GCRYPT_CFLAGS)
CLUSTERD_SYSLIBS += $(GCRYPT_LIBS) -lpthread
