# Unit tests of common/, and what all unit tests share: $(TEST_LIBS) and, for failing allocations, $(ALLOC_WRAP).
check_LIBRARIES += %D%/libtestutil.a
%C%_libtestutil_a_SOURCES = %D%/testutil.h %D%/testutil.c %D%/allocfail.c
TEST_LIBS = %D%/libtestutil.a common/libcommon.a $(CMOCKA_LIBS)
ALLOC_WRAP = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray -Wl,--wrap=strdup

common_tests = %D%/test_buf %D%/test_builds %D%/test_clocks %D%/test_ctlsock %D%/test_daemon %D%/test_err %D%/test_hostname %D%/test_jsonplain %D%/test_log %D%/test_loop %D%/test_notify %D%/test_procs %D%/test_pathopen %D%/test_util %D%/test_worker
check_PROGRAMS += $(common_tests)
TESTS += $(common_tests)

%C%_test_buf_SOURCES = %D%/test_buf.c
%C%_test_buf_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_buf_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_builds_SOURCES = %D%/test_builds.c
%C%_test_builds_LDADD = $(TEST_LIBS)

%C%_test_clocks_SOURCES = %D%/test_clocks.c
%C%_test_clocks_LDADD = clusterd/guard/libguard.a common/libcommon.a $(TEST_LIBS)

%C%_test_ctlsock_SOURCES = %D%/test_ctlsock.c
%C%_test_ctlsock_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_ctlsock_LDADD = common/libdaemon.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_daemon_SOURCES = %D%/test_daemon.c
%C%_test_daemon_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_err_SOURCES = %D%/test_err.c
%C%_test_err_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_hostname_SOURCES = %D%/test_hostname.c
%C%_test_hostname_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=gethostname
%C%_test_hostname_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_jsonplain_SOURCES = %D%/test_jsonplain.c
%C%_test_jsonplain_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_jsonplain_LDADD = common/libcommon.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_log_SOURCES = %D%/test_log.c
%C%_test_log_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_loop_SOURCES = %D%/test_loop.c
%C%_test_loop_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_loop_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_notify_SOURCES = %D%/test_notify.c
%C%_test_notify_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_pathopen_SOURCES = %D%/test_pathopen.c
%C%_test_pathopen_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_util_SOURCES = %D%/test_util.c
%C%_test_util_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_util_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_util_LDADD = common/libcommon.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_procs_SOURCES = %D%/test_procs.c
%C%_test_procs_LDADD = common/libcommon.a $(TEST_LIBS)
%C%_test_worker_SOURCES = %D%/test_worker.c
%C%_test_worker_LDADD = common/libcommon.a $(TEST_LIBS)
