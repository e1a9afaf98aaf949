# vmmig: migrations.
bin_PROGRAMS += %D%/vmmig
%C%_vmmig_SOURCES = %D%/vmmig_int.h %D%/vmmig.c %D%/vmmig_push.c %D%/vmmig_status.c %D%/vmmig_peers.c
%C%_vmmig_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZMQ_CFLAGS)
%C%_vmmig_LDADD = %D%/libcli.a migrated/libmigio.a hypervisor/api/libhvcall.a common/libcommon.a $(JANSSON_LIBS) $(ZMQ_LIBS)
