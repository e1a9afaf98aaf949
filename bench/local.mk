# Benchmarks: make bench.
EXTRA_DIST += %D%/push.bash %D%/stock.bash %D%/own_kib.awk %D%/qemu.bash %D%/kernel.bash %D%/clusplan.bash
BENCH_TARGETS += bench-push bench-plan
PHONY += bench-push bench-plan
bench-push: all guests $(SYSTEM_HELPERS)
	$(top_srcdir)/%D%/push.bash .
# the planner: times, and side by side with hbal
bench-plan: all
	$(top_srcdir)/%D%/clusplan.bash .
EXTRA_DIST += %D%/failover.bash
BENCH_TARGETS += bench-failover
PHONY += bench-failover
bench-failover: all guests tests/system/lockcheck
	$(top_srcdir)/%D%/failover.bash .
