# Unit tests of clusterd/io and of the guard.
cluio_tests = %D%/test_cluformat %D%/test_cluwire %D%/test_clustore %D%/test_clustorer %D%/test_cluguard %D%/test_parking %D%/test_clufence %D%/test_cluhost %D%/test_cluprobe %D%/test_cluwatch %D%/test_cluctl %D%/test_cpg %D%/test_reach
check_PROGRAMS += $(cluio_tests)
TESTS += $(cluio_tests)
CLUIO_TEST_LDADD = $(CLUSTERD_LIBS) $(TEST_LIBS) $(CLUSTERD_SYSLIBS)

# its octets of old
%C%_test_cluformat_SOURCES = %D%/test_cluformat.c
%C%_test_cluformat_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_cluformat_LDADD = $(CLUIO_TEST_LDADD)
EXTRA_DIST += %D%/cluformat.golden
%C%_test_cluwire_SOURCES = %D%/test_cluwire.c
%C%_test_cluwire_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
%C%_test_cluwire_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_cluwire_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_clustore_SOURCES = %D%/test_clustore.c
%C%_test_clustore_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_clustore_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_clustorer_SOURCES = %D%/test_clustorer.c
%C%_test_clustorer_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_cluguard_SOURCES = %D%/test_cluguard.c %D%/standin.h %D%/standin.c
%C%_test_cluguard_LDADD = clusterd/guard/libguard.a hypervisor/api/libhvcall.a $(TEST_LIBS)
%C%_test_parking_SOURCES = %D%/test_parking.c %D%/standin.h %D%/standin.c
%C%_test_parking_LDADD = clusterd/guard/libguard.a hypervisor/api/libhvcall.a $(TEST_LIBS)
%C%_test_clufence_SOURCES = %D%/test_clufence.c
%C%_test_clufence_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_cluprobe_SOURCES = %D%/test_cluprobe.c
%C%_test_cluprobe_LDADD = $(CLUIO_TEST_LDADD)
%C%_test_cluhost_SOURCES = %D%/test_cluhost.c
%C%_test_cluhost_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
%C%_test_cluhost_LDADD = $(CLUIO_TEST_LDADD)
# what it says goes to a stand-in of nodeio_submit()
%C%_test_cluwatch_SOURCES = %D%/test_cluwatch.c
%C%_test_cluwatch_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=nodeio_submit
%C%_test_cluwatch_LDADD = $(CLUIO_TEST_LDADD)
# what it answers, and what it asks of storage, goes to stand-ins
%C%_test_cluctl_SOURCES = %D%/test_cluctl.c
%C%_test_cluctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(PROTOBUFC_CFLAGS) $(SQLITE_CFLAGS)
%C%_test_cluctl_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ctlsock_reply -Wl,--wrap=probe_ask -Wl,--wrap=local_helpers
%C%_test_cluctl_LDADD = $(CLUIO_TEST_LDADD)
# its own stand-ins of Corosync's libraries
%C%_test_cpg_SOURCES = %D%/test_cpg.c
%C%_test_cpg_CFLAGS = $(AM_CFLAGS) $(COROSYNC_CFLAGS)
%C%_test_cpg_LDADD = clusterd/io/libcluio.a $(TEST_LIBS)
%C%_test_reach_SOURCES = %D%/test_reach.c
%C%_test_reach_LDADD = $(CLUIO_TEST_LDADD)
