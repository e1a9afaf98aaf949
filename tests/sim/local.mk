# Simulations: both machines of a migration in one thread with virtual time. "make sim SEEDS=n" runs more stories.
check_PROGRAMS += %D%/simmig %D%/migstory
%C%_simmig_SOURCES = %D%/simmig.h %D%/simmig.c %D%/simcheck.c %D%/main_simmig.c
%C%_simmig_LDADD = migrated/libmigcore.a
%C%_migstory_SOURCES = %D%/simmig.h %D%/simmig.c %D%/simcheck.c %D%/main_migstory.c
%C%_migstory_LDADD = migrated/libmigcore.a
TESTS += %D%/simmig

SEEDS = 1000000
.PHONY: sim
sim: %D%/simmig
	%D%/simmig --seeds $(SEEDS)
