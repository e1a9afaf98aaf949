# Helpers that at least two folders share. libcommon.a depends on nothing of the project.
noinst_LIBRARIES += %D%/libcommon.a
%C%_libcommon_a_SOURCES = %D%/boundlog.h %D%/buf.h %D%/cleanup.h %D%/clocks.h %D%/daemon.h %D%/err.h %D%/fault.h %D%/hostname.h %D%/log.h %D%/loop.h %D%/nsproc.h %D%/pathopen.h %D%/procs.h %D%/util.h %D%/worker.h \
	%D%/boundlog.c %D%/buf.c %D%/clocks.c %D%/daemon.c %D%/err.c %D%/fault.c %D%/hostname.c %D%/log.c %D%/loop.c %D%/nsproc.c %D%/pathopen.c %D%/procs.c %D%/util.c %D%/worker.c
# For daemons only, because it needs more than libc: privileges (libcap-ng), the order socket (jansson).
noinst_LIBRARIES += %D%/libdaemon.a
%C%_libdaemon_a_SOURCES = %D%/caps.h %D%/caps.c %D%/ctlsock.h %D%/ctlsock.c
%C%_libdaemon_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CAPNG_CFLAGS)
