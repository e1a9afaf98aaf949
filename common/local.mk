# Helpers that at least two folders share. libcommon.a depends on nothing of the project.
noinst_LIBRARIES += %D%/libcommon.a
%C%_libcommon_a_SOURCES = %D%/boundlog.h %D%/buf.h %D%/builds.h %D%/cleanup.h %D%/clocks.h %D%/daemon.h %D%/err.h %D%/fault.h %D%/hostname.h %D%/jsonplain.h %D%/log.h %D%/loop.h %D%/notify.h %D%/nsproc.h %D%/pathopen.h %D%/procs.h %D%/util.h %D%/worker.h \
	%D%/boundlog.c %D%/buf.c %D%/clocks.c %D%/daemon.c %D%/err.c %D%/fault.c %D%/hostname.c %D%/jsonplain.c %D%/log.c %D%/loop.c %D%/notify.c %D%/nsproc.c %D%/pathopen.c %D%/procs.c %D%/util.c %D%/worker.c
COMMON_CPPFLAGS = -DHOSPES_DOCDIR='"$(docdir)"' \
	-DHOSPES_CONFDIR='"$(sysconfdir)/hospes"' -DHOSPES_RUNDIR='"$(runstatedir)/hospes"' \
	-DHOSPES_STATEDIR='"$(localstatedir)/lib/hospes"' -DHOSPES_LOGDIR='"$(localstatedir)/log/hospes"'
%C%_libcommon_a_CPPFLAGS = $(AM_CPPFLAGS) $(COMMON_CPPFLAGS)
# For daemons only, because it needs more than libc: privileges (libcap-ng), the order socket (jansson).
noinst_LIBRARIES += %D%/libdaemon.a
%C%_libdaemon_a_SOURCES = %D%/caps.h %D%/caps.c %D%/ctlsock.h %D%/ctlsock.c
%C%_libdaemon_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CAPNG_CFLAGS)
# Directories at boot, and logs that grow
CONF_FILES += %D%/logrotate.conf:logrotate.d/hospes
nodist_tmpfiles_DATA += %D%/hospes.conf
CLEANFILES += %D%/hospes.conf
EXTRA_DIST += %D%/tmpfiles.conf %D%/logrotate.conf
%D%/hospes.conf: %D%/tmpfiles.conf
	$(AM_V_GEN)$(MKDIR_P) %D% && sed '$(HOST_DIRS)' $(srcdir)/%D%/tmpfiles.conf >$@.tmp && mv $@.tmp $@
