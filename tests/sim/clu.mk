# Simulation of whole clusters: the real cores of clusterd and migrated.
simclu_sources = %D%/simclu.h %D%/simclu.c %D%/simclu_cpg.c %D%/simclu_node.c %D%/simclu_pulse.c %D%/simclu_host.c %D%/simclu_move.c %D%/simclu_park.c %D%/simclu_leave.c %D%/simclu_list.c %D%/simclu_nodelist.c %D%/simclu_witness.c %D%/simclu_bad.c %D%/simclu_apart.c %D%/simclu_after.c %D%/simclu_set.c %D%/simclu_freeze.c %D%/simclu_mig.h \
	%D%/simclu_mig.c %D%/simclu_miglink.c %D%/simclu_mighv.c %D%/simclu_fault.c %D%/simclu_check_copies.c %D%/simclu_check_state.c \
	%D%/simclu_check_end.c %D%/main_simclu.c
check_PROGRAMS += %D%/simclu
%C%_simclu_SOURCES = $(simclu_sources)
%C%_simclu_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a migrated/libmigcore.a -lm
TESTS += %D%/simclu

# without sanitizers, whatever the rest of the tree is built with: for many stories
if WITH_SANITIZERS
check_PROGRAMS += %D%/simclu-long
TESTS += %D%/simclu-long
else
EXTRA_PROGRAMS += %D%/simclu-long
CLEANFILES += %D%/simclu-long$(EXEEXT)
endif
%C%_simclu_long_SOURCES = $(simclu_sources) $(clusterd_core_libclucore_a_SOURCES) $(clusterd_core_libcluplan_a_SOURCES) \
	$(migrated_libmigcore_a_SOURCES)
%C%_simclu_long_CPPFLAGS = -I$(top_srcdir) -I$(top_builddir)
%C%_simclu_long_CFLAGS = -std=gnu11 $(WARN_CFLAGS) $(XXHASH_CFLAGS) -O2
%C%_simclu_long_LDFLAGS =
%C%_simclu_long_LDADD = -lm
