# vmclus: the cluster; hospes-member: what other hosts ask about membership.
noinst_LIBRARIES += %D%/libmember.a
%C%_libmember_a_SOURCES = %D%/member_conf.h %D%/member_conf.c %D%/member_token.h %D%/member_token.c %D%/member_link.h %D%/member_link.c \
	%D%/member_host.h %D%/member_host.c %D%/member_check.c %D%/member_set.h %D%/member_set.c
%C%_libmember_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZMQ_CFLAGS)
MEMBER_LIBS = %D%/libmember.a %D%/libcli.a migrated/libmigio.a clusterd/guard/libguard.a hypervisor/api/libpathconf.a hypervisor/api/libhvcall.a
MEMBER_SYSLIBS = $(ZMQ_LIBS) $(JANSSON_LIBS)

bin_PROGRAMS += %D%/vmclus
%C%_vmclus_SOURCES = %D%/vmclus.c %D%/vmclus_int.h %D%/vmclus_balance.c %D%/vmclus_domain.c %D%/vmclus_host.c %D%/vmclus_leave.c \
	%D%/vmclus_simfile.c %D%/vmclus_simgen.c %D%/vmclus_simulate.c %D%/vmclus_simulate.h \
	%D%/vmclus_cpu.c %D%/vmclus_disarm.c %D%/vmclus_member.c %D%/vmclus_part.c \
	%D%/vmclus_rehearse.c %D%/vmclus_set.c %D%/vmclus_status.c %D%/vmclus_top.c %D%/vmclus_top_int.h %D%/vmclus_topdraw.c
%C%_vmclus_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZMQ_CFLAGS)
%C%_vmclus_LDADD = $(MEMBER_LIBS) clusterd/core/libcluplan.a clusterd/core/libclucore.a common/libcommon.a $(MEMBER_SYSLIBS) $(XXHASH_LIBS) -lm
MAN_PAGES += docs/man/vmclus.8

helper_PROGRAMS += %D%/hospes-member
%C%_hospes_member_SOURCES = %D%/memberd.c
%C%_hospes_member_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZMQ_CFLAGS)
%C%_hospes_member_LDADD = $(MEMBER_LIBS) common/libcommon.a $(MEMBER_SYSLIBS)
MEMBER_UNITS = %D%/hospes-member.service %D%/hospes-member.socket
nodist_systemdunit_DATA += $(MEMBER_UNITS)
EXTRA_DIST += $(MEMBER_UNITS:=.in)
CLEANFILES += $(MEMBER_UNITS)
