# Benchmarks: make bench.
EXTRA_DIST += %D%/push.bash %D%/qemu.bash %D%/kernel.bash
BENCH_TARGETS += bench-push
.PHONY: bench-push
bench-push: all guests
	$(top_srcdir)/%D%/push.bash .
