# Helpers that at least two folders share. libcommon.a depends on nothing of the project.
noinst_LIBRARIES += %D%/libcommon.a
%C%_libcommon_a_SOURCES = %D%/buf.h %D%/cleanup.h %D%/err.h %D%/fault.h %D%/log.h %D%/loop.h %D%/util.h \
	%D%/buf.c %D%/err.c %D%/fault.c %D%/log.c %D%/loop.c %D%/util.c
# For daemons only, because it needs more than libc: privileges (libcap-ng), the order socket (jansson).
noinst_LIBRARIES += %D%/libdaemon.a
%C%_libdaemon_a_SOURCES = %D%/caps.h %D%/caps.c %D%/ctlsock.h %D%/ctlsock.c
%C%_libdaemon_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CAPNG_CFLAGS)
