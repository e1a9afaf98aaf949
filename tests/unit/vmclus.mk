# vmclus against a stand-in for clusterd's order socket.
check_PROGRAMS += %D%/fake_clusterd
%C%_fake_clusterd_SOURCES = %D%/fake_clusterd.c
%C%_fake_clusterd_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_fake_clusterd_LDADD = common/libcommon.a $(JANSSON_LIBS)
TESTS += %D%/test_vmclus.bats %D%/test_tools.bats
EXTRA_DIST += %D%/test_vmclus.bats %D%/test_tools.bats

# joining and leaving
member_tests = %D%/test_memberconf %D%/test_memberset
check_PROGRAMS += $(member_tests)
TESTS += $(member_tests)
MEMBER_TEST_LDADD = $(MEMBER_LIBS) $(TEST_LIBS) $(MEMBER_SYSLIBS)
%C%_test_memberconf_SOURCES = %D%/test_memberconf.c
%C%_test_memberconf_LDADD = $(MEMBER_TEST_LDADD)
%C%_test_memberset_SOURCES = %D%/test_memberset.c
%C%_test_memberset_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZMQ_CFLAGS)
%C%_test_memberset_LDADD = $(MEMBER_TEST_LDADD)
