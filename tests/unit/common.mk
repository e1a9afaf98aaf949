# Unit tests of common/, and what all unit tests share: $(TEST_LIBS) and, for failing allocations, $(ALLOC_WRAP).
check_LIBRARIES += %D%/libtestutil.a
%C%_libtestutil_a_SOURCES = %D%/testutil.h %D%/testutil.c %D%/allocfail.c
TEST_LIBS = %D%/libtestutil.a common/libcommon.a $(CMOCKA_LIBS)
ALLOC_WRAP = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray -Wl,--wrap=strdup

common_tests = %D%/test_buf %D%/test_ctlsock %D%/test_err %D%/test_loop %D%/test_util
check_PROGRAMS += $(common_tests)
TESTS += $(common_tests)

%C%_test_buf_SOURCES = %D%/test_buf.c
%C%_test_buf_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_buf_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_ctlsock_SOURCES = %D%/test_ctlsock.c
%C%_test_ctlsock_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_ctlsock_LDADD = common/libdaemon.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_err_SOURCES = %D%/test_err.c
%C%_test_err_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_loop_SOURCES = %D%/test_loop.c
%C%_test_loop_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_loop_LDADD = common/libcommon.a $(TEST_LIBS)

%C%_test_util_SOURCES = %D%/test_util.c
%C%_test_util_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_util_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_util_LDADD = common/libcommon.a $(TEST_LIBS) $(JANSSON_LIBS)
