# Tests with real guests, daemons and network namespaces: `make check-system`, and in `make check` of a build without sanitizers (whose
# shadow memory a host's limits do not fit). They need root and `make guests`, and say what is missing when they skip.
include %D%/dev/local.mk
include %D%/pv/local.mk

SYSTEM_TESTS = %D%/vmlab.bats %D%/life.bats %D%/push.bats %D%/refuse.bats %D%/fault.bats %D%/redis.bats %D%/hostile.bats %D%/isolation.bats $(CLUSTER_TESTS)
CLUSTER_TESTS = %D%/clus_fence.bats %D%/clus_life.bats %D%/clus_fail.bats %D%/clus_park.bats %D%/clus_daemon.bats
SYSTEM_HELPERS = %D%/lockcheck %D%/hvtool
EXTRA_DIST += $(SYSTEM_TESTS) %D%/clus_cut.bats %D%/lib.bash %D%/clus.bash %D%/clus_guests.bash tests/summary tests/summary-test.sh
TESTS += tests/summary-test.sh
check_PROGRAMS += $(SYSTEM_HELPERS)
%C%_lockcheck_SOURCES = %D%/lockcheck.c
%C%_hvtool_SOURCES = %D%/hvtool.c
%C%_hvtool_LDADD = hypervisor/libhv.a hypervisor/pv/libpv.a hypervisor/libhvcall.a common/libcommon.a

AM_BATS_LOG_FLAGS = --tap
if !WITH_SANITIZERS
TESTS += $(SYSTEM_TESTS)
endif

.PHONY: check-system
check-system: all guests $(SYSTEM_HELPERS) %D%/pv/trackguest
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(SYSTEM_TESTS) %D%/pv/track.sh'

# 200 pushes back and forth of the loaded guest, and of Debian with Redis; `make check` does 10 of each
SOAK_TARGETS += soak-push
SOAK_PUSHES = 200
.PHONY: soak-push
soak-push: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) HOSPES_PUSHES=$(SOAK_PUSHES) BATS_TEST_TIMEOUT=7200 $(BATS) --tap -f 'pushes' $(top_srcdir)/%D%/push.bats $(top_srcdir)/%D%/redis.bats

# 50 cuts of each host in turn, healed at random: 0 double runs, 0 lost domains
SOAK_TARGETS += soak-cut
SOAK_CUTS = 50
.PHONY: soak-cut
soak-cut: all guests $(SYSTEM_HELPERS)
	$(AM_TESTS_ENVIRONMENT) HOSPES_CUTS=$(SOAK_CUTS) BATS_TEST_TIMEOUT=10800 $(BATS) --tap $(top_srcdir)/%D%/clus_cut.bats
