# The cluster daemon: core (pure), placement and planning (pure), io, main; and the guard.
include clusterd/core/local.mk
include clusterd/core/place.mk
include clusterd/guard/local.mk
include clusterd/io/local.mk

sbin_PROGRAMS += %D%/clusterd
%C%_clusterd_SOURCES = %D%/main.c
%C%_clusterd_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(COROSYNC_CFLAGS) $(JANSSON_CFLAGS)
%C%_clusterd_LDADD = $(CLUSTERD_LIBS) $(CLUSTERD_SYSLIBS)
CLUSTERD_UNITS = %D%/clusterd.service %D%/hospes-guard.service %D%/hospes-guests.service %D%/hospes.target
nodist_systemdunit_DATA += $(CLUSTERD_UNITS)
EXTRA_DIST += $(CLUSTERD_UNITS:=.in)
CLEANFILES += $(CLUSTERD_UNITS)
helper_SCRIPTS += %D%/hospes-guests
CLEANFILES += %D%/hospes-guests
EXTRA_DIST += %D%/hospes-guests.sh
%D%/hospes-guests: %D%/hospes-guests.sh
	$(AM_V_GEN)mkdir -p $(@D) && sed 's,[@]bindir[@],$(bindir),' $< >$@.tmp && chmod +x $@.tmp && mv $@.tmp $@
CONF_FILES += %D%/clusterd.json:hospes/clusterd.json %D%/fence.json:hospes/fence.d/HOST.json.example
EXTRA_DIST += %D%/clusterd.json %D%/fence.json
# a drop-in for Debian's corosync.service
corosyncdropindir = $(systemdunitdir)/corosync.service.d
nodist_corosyncdropin_DATA = %D%/hospes.conf
EXTRA_DIST += %D%/hospes.conf.in
CLEANFILES += %D%/hospes.conf
%D%/hospes.conf: %D%/hospes.conf.in
	$(UNIT_FROM_IN)
