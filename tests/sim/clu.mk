# Simulation of whole clusters.
check_PROGRAMS += %D%/simclu
%C%_simclu_SOURCES = %D%/simclu.h %D%/simclu.c %D%/simclu_cpg.c %D%/simclu_node.c %D%/simclu_host.c %D%/simclu_move.c %D%/simclu_mig.h \
	%D%/simclu_mig.c %D%/simclu_miglink.c %D%/simclu_mighv.c %D%/simclu_fault.c \
	%D%/simclu_check_copies.c %D%/simclu_check_state.c %D%/simclu_check_end.c %D%/main_simclu.c
%C%_simclu_LDADD = clusterd/core/libclucore.a clusterd/core/libcluplan.a migrated/libmigcore.a -lm
TESTS += %D%/simclu
