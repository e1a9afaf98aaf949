# The guard, which ends a host's domains when its lease does; and what others share with it: the deadline, markers, parking.
noinst_LIBRARIES += %D%/libguard.a
%C%_libguard_a_SOURCES = %D%/deadline.h %D%/deadline.c %D%/guardmsg.h %D%/leaving.h %D%/leaving.c %D%/managed.h %D%/managed.c %D%/parking.h %D%/parking.c
sbin_PROGRAMS += clusterd/hospes-guard
clusterd_hospes_guard_SOURCES = %D%/main.c %D%/guard_int.h %D%/guard_clients.c %D%/guard_deadline.c %D%/guard_domains.c %D%/guard_end.c \
	%D%/guard_loop.c %D%/guard_watchdog.c
clusterd_hospes_guard_LDADD = %D%/libguard.a hypervisor/api/libhvcall.a common/libcommon.a
