# Unit tests of clusterd/io and of the guard.
cluio_tests = %D%/test_cluwire %D%/test_clustore %D%/test_cluguard %D%/test_clufence %D%/test_cluhost %D%/test_cpg
check_PROGRAMS += $(cluio_tests)
TESTS += $(cluio_tests)
CLUIO_TEST_LDADD = $(CLUSTERD_LIBS) $(TEST_LIBS) $(CLUSTERD_SYSLIBS)

%C%_test_cluwire_SOURCES = %D%/test_cluwire.c
%C%_test_cluwire_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
%C%_test_cluwire_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_cluwire_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_clustore_SOURCES = %D%/test_clustore.c
%C%_test_clustore_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_clustore_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_cluguard_SOURCES = %D%/test_cluguard.c
%C%_test_cluguard_LDADD = clusterd/io/libmanaged.a $(TEST_LIBS)
%C%_test_clufence_SOURCES = %D%/test_clufence.c
%C%_test_clufence_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_cluhost_SOURCES = %D%/test_cluhost.c
%C%_test_cluhost_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
%C%_test_cluhost_LDADD = $(CLUIO_TEST_LDADD)
# its own stand-ins of Corosync's libraries
%C%_test_cpg_SOURCES = %D%/test_cpg.c
%C%_test_cpg_CFLAGS = $(AM_CFLAGS) $(COROSYNC_CFLAGS)
%C%_test_cpg_LDADD = clusterd/io/libcluio.a $(TEST_LIBS)
