# Unit tests of placement and balancing.
cluplace_tests = %D%/test_cluplace %D%/test_cluplan
check_PROGRAMS += $(cluplace_tests)
TESTS += $(cluplace_tests) %D%/clucore_pure.sh
EXTRA_DIST += %D%/clucore_pure.sh
CLUPLACE_LIBS = clusterd/core/libcluplan.a clusterd/core/libclucore.a $(TEST_LIBS) $(XXHASH_LIBS) -lm
%C%_test_cluplace_SOURCES = %D%/test_cluplace.c %D%/cluworld.h %D%/cluworld.c
%C%_test_cluplace_LDADD = $(CLUPLACE_LIBS)
%C%_test_cluplan_SOURCES = %D%/test_cluplan.c %D%/cluworld.h %D%/cluworld.c
%C%_test_cluplan_LDADD = $(CLUPLACE_LIBS)
