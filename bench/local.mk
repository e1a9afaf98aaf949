# Benchmarks: make bench.
EXTRA_DIST += %D%/push.bash %D%/qemu.bash %D%/kernel.bash
BENCH_TARGETS += bench-push
.PHONY: bench-push
bench-push: all guests
	$(top_srcdir)/%D%/push.bash .
EXTRA_DIST += %D%/failover.bash
BENCH_TARGETS += bench-failover
.PHONY: bench-failover
bench-failover: all guests tests/system/lockcheck
	$(top_srcdir)/%D%/failover.bash .
