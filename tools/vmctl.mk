# vmctl: the domains of this host.
bin_PROGRAMS += %D%/vmctl
%C%_vmctl_SOURCES = %D%/vmctl.c %D%/vmctl_int.h %D%/vmctl_common.c %D%/vmctl_console.c %D%/vmctl_agent.h %D%/vmctl_agent.c %D%/vmctl_define.c %D%/vmctl_seed.c %D%/vmctl_info.c \
	%D%/vmctl_launch.c %D%/vmctl_run.c %D%/vmctl_save.c
%C%_vmctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_vmctl_LDADD = %D%/libcli.a clusterd/guard/libguard.a hypervisor/api/libsavefile.a hypervisor/api/liblaunch.a hypervisor/api/libhvcall.a hypervisor/api/xml/libdomxml.a common/libcommon.a $(XML_LIBS) \
	$(JANSSON_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS)
