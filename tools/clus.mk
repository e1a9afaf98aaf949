# vmclus: the cluster.
bin_PROGRAMS += %D%/vmclus
%C%_vmclus_SOURCES = %D%/vmclus.c %D%/vmclus_int.h %D%/vmclus_balance.c %D%/vmclus_common.c %D%/vmclus_domain.c %D%/vmclus_host.c %D%/vmclus_leave.c \
	%D%/vmclus_simfile.c %D%/vmclus_simgen.c %D%/vmclus_simulate.c %D%/vmclus_simulate.h \
	%D%/vmclus_cpu.c %D%/vmclus_rehearse.c %D%/vmclus_status.c %D%/vmclus_top.c %D%/vmclus_top_int.h %D%/vmclus_topdraw.c
%C%_vmclus_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_vmclus_LDADD = %D%/libcli.a clusterd/core/libcluplan.a clusterd/core/libclucore.a common/libcommon.a $(JANSSON_LIBS) $(XXHASH_LIBS) -lm
MAN_PAGES += docs/man/vmclus.8
