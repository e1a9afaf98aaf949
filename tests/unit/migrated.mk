# Unit tests of migrated.
migrated_tests = %D%/test_migwire %D%/test_migctl %D%/test_migwindow %D%/test_migcore %D%/test_migbatch %D%/test_migpump %D%/test_migpipe %D%/test_migfiles %D%/test_recorder %D%/test_congestion
check_PROGRAMS += $(migrated_tests)
TESTS += $(migrated_tests)
MIG_TEST_LDADD = $(MIGRATED_LIBS) $(TEST_LIBS) $(MIGRATED_SYSLIBS)
MIG_TEST_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(ZMQ_CFLAGS)

%C%_test_migwire_SOURCES = %D%/test_migwire.c
%C%_test_migwire_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_migwire_LDADD = $(MIG_TEST_LDADD)
%C%_test_migctl_SOURCES = %D%/test_migctl.c
%C%_test_migctl_LDADD = migrated/libmigcore.a $(TEST_LIBS)
%C%_test_migwindow_SOURCES = %D%/test_migwindow.c
%C%_test_migwindow_LDADD = migrated/libmigcore.a $(TEST_LIBS)
%C%_test_migcore_SOURCES = %D%/test_migcore.c
%C%_test_migcore_LDADD = migrated/libmigcore.a $(TEST_LIBS)
%C%_test_migbatch_SOURCES = %D%/test_migbatch.c
%C%_test_migbatch_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_migbatch_LDADD = $(MIG_TEST_LDADD)
%C%_test_migpump_SOURCES = %D%/test_migpump.c
%C%_test_migpump_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_migpump_LDADD = $(MIG_TEST_LDADD)
%C%_test_migpipe_SOURCES = %D%/test_migpipe.c
%C%_test_migpipe_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_migpipe_LDADD = $(MIG_TEST_LDADD)
%C%_test_migfiles_SOURCES = %D%/test_migfiles.c
%C%_test_migfiles_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_migfiles_LDADD = $(MIG_TEST_LDADD)
%C%_test_recorder_SOURCES = %D%/test_recorder.c
%C%_test_recorder_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_recorder_LDADD = $(MIG_TEST_LDADD)
%C%_test_congestion_SOURCES = %D%/test_congestion.c migrated/io/congestion.h migrated/io/congestion.c
%C%_test_congestion_CFLAGS = $(MIG_TEST_CFLAGS)
%C%_test_congestion_LDADD = $(MIG_TEST_LDADD)

# the state machines need nothing of the system: no clock, no I/O, no allocation
TESTS += %D%/migcore_pure.sh
EXTRA_DIST += %D%/migcore_pure.sh
