# The cluster daemon: core (pure), placement and planning (pure), io, main; and the guard.
include clusterd/core/local.mk
include clusterd/core/place.mk
include clusterd/io/local.mk

sbin_PROGRAMS += %D%/clusterd %D%/hospes-guard
%C%_clusterd_SOURCES = %D%/main.c
%C%_clusterd_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(COROSYNC_CFLAGS) $(JANSSON_CFLAGS)
%C%_clusterd_LDADD = $(CLUSTERD_LIBS) $(CLUSTERD_SYSLIBS)
%C%_hospes_guard_SOURCES = %D%/guard.c
%C%_hospes_guard_LDADD = %D%/io/libmanaged.a common/libcommon.a
nodist_systemdunit_DATA += %D%/clusterd.service %D%/hospes-guard.service
EXTRA_DIST += %D%/clusterd.service.in %D%/hospes-guard.service.in
CLEANFILES += %D%/clusterd.service %D%/hospes-guard.service
