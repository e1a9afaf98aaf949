# Helpers that at least two folders share. libcommon.a depends on nothing of the project.
noinst_LIBRARIES += %D%/libcommon.a
%C%_libcommon_a_SOURCES = %D%/buf.h %D%/cleanup.h %D%/err.h %D%/fault.h %D%/log.h %D%/loop.h %D%/util.h \
	%D%/buf.c %D%/err.c %D%/fault.c %D%/log.c %D%/loop.c %D%/util.c
# What needs more than libc: the order socket of a daemon (jansson).
noinst_LIBRARIES += %D%/libdaemon.a
%C%_libdaemon_a_SOURCES = %D%/ctlsock.h %D%/ctlsock.c
%C%_libdaemon_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
