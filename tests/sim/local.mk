# Simulations: both machines of a migration in one thread with virtual time; whole clusters in clu.mk. "make sim SEEDS=n" runs more stories.
check_PROGRAMS += %D%/simmig %D%/migstory
%C%_simmig_SOURCES = %D%/simmig.h %D%/simmig.c %D%/simcheck.c %D%/main_simmig.c
%C%_simmig_LDADD = migrated/libmigcore.a
%C%_migstory_SOURCES = %D%/simmig.h %D%/simmig.c %D%/simcheck.c %D%/main_migstory.c
%C%_migstory_LDADD = migrated/libmigcore.a
TESTS += %D%/simmig

SEEDS = 100000
SIM_JOBS = $$(nproc)
SIM_BIG_SEEDS = $$(( ($(SEEDS) + 99) / 100 ))
PHONY += sim
sim: %D%/simmig %D%/simclu-long
	%D%/simmig --seeds $(SEEDS)
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $(SEEDS)
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $$(( ($(SEEDS) + 4) / 5 )) --lists --seconds 300
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $$(( ($(SEEDS) + 4) / 5 )) --disarm --seconds 300
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $$(( ($(SEEDS) + 4) / 5 )) --nodes 3 --witness --seconds 300
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $(SIM_BIG_SEEDS) --nodes 3 --witness --lose --seconds 320
	%D%/simclu-long --jobs $(SIM_JOBS) --seeds $(SIM_BIG_SEEDS) --nodes 100 --doms 300 --seconds 200
