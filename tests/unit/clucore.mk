# Unit tests of clusterd/core: records, commands, views, leases, decisions.
clucore_tests = %D%/test_clustate %D%/test_clulost %D%/test_clunode %D%/test_clupulse %D%/test_cluawait %D%/test_clulist %D%/test_cluwitness %D%/test_clulevel %D%/test_cludecide %D%/test_cluafter %D%/test_cludisarm
check_PROGRAMS += $(clucore_tests)
TESTS += $(clucore_tests)

%C%_test_clustate_SOURCES = %D%/test_clustate.c %D%/cluapply.h %D%/cluapply.c %D%/cluworld.h %D%/cluworld.c
%C%_test_clustate_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_clulost_SOURCES = %D%/test_clulost.c %D%/cluapply.h %D%/cluapply.c
%C%_test_clulost_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_clunode_SOURCES = %D%/clubus.h %D%/test_clunode.c
%C%_test_clulist_SOURCES = %D%/clubus.h %D%/test_clulist.c
%C%_test_clulist_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_cluawait_SOURCES = %D%/clubus.h %D%/test_cluawait.c
%C%_test_cluawait_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_clupulse_SOURCES = %D%/clubus.h %D%/test_clupulse.c
%C%_test_clupulse_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_clunode_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_cluwitness_SOURCES = %D%/test_cluwitness.c %D%/cluapply.h %D%/cluapply.c
%C%_test_cluwitness_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a clusterd/core/libclucore.a $(TEST_LIBS) -lm
%C%_test_clulevel_SOURCES = %D%/test_clulevel.c %D%/clubus.h
%C%_test_clulevel_LDADD = clusterd/core/libclucore.a $(TEST_LIBS)
%C%_test_cludecide_SOURCES = %D%/test_cludecide.c
%C%_test_cludecide_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a clusterd/core/libclucore.a $(TEST_LIBS) -lm
%C%_test_cluafter_SOURCES = %D%/test_cluafter.c %D%/cluapply.h %D%/cluapply.c
%C%_test_cluafter_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a clusterd/core/libclucore.a $(TEST_LIBS) -lm
%C%_test_cludisarm_SOURCES = %D%/test_cludisarm.c %D%/clubus.h
%C%_test_cludisarm_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a clusterd/core/libclucore.a $(TEST_LIBS) -lm
