# vmclus against a stand-in for clusterd's order socket.
check_PROGRAMS += %D%/fake_clusterd
%C%_fake_clusterd_SOURCES = %D%/fake_clusterd.c
%C%_fake_clusterd_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_fake_clusterd_LDADD = common/libcommon.a $(JANSSON_LIBS)
TESTS += %D%/test_vmclus.bats
EXTRA_DIST += %D%/test_vmclus.bats
