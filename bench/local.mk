# Benchmarks: make bench.
EXTRA_DIST += %D%/push.bash %D%/qemu.bash %D%/kernel.bash %D%/clusplan.bash
BENCH_TARGETS += bench-push bench-plan
.PHONY: bench-push bench-plan
bench-push: all guests $(SYSTEM_HELPERS)
	$(top_srcdir)/%D%/push.bash .
# the planner: times, and side by side with hbal (bench/clusplan is also what tests/scenario/planstories.sh runs)
%C%_clusplan_SOURCES = %D%/clusplan.c tools/vmclus_simulate.h tools/vmclus_simulate.c tools/vmclus_simfile.c tools/vmclus_simgen.c
%C%_clusplan_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_clusplan_LDADD = clusterd/core/libcluplan.a clusterd/core/libclucore.a common/libcommon.a $(JANSSON_LIBS) $(XXHASH_LIBS) -lm
bench-plan: %D%/clusplan
	$(top_srcdir)/%D%/clusplan.bash .
EXTRA_DIST += %D%/failover.bash
BENCH_TARGETS += bench-failover
.PHONY: bench-failover
bench-failover: all guests tests/system/lockcheck
	$(top_srcdir)/%D%/failover.bash .
