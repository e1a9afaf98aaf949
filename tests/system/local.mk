# Tests with real guests, daemons and network namespaces: `make check-system`, and in `make check` of a build without sanitizers (whose
# shadow memory a host's limits do not fit). They need root and `make guests`, and say what is missing when they skip.
include %D%/dev/local.mk

SYSTEM_TESTS = %D%/vmlab.bats
SYSTEM_HELPERS = %D%/lockcheck
EXTRA_DIST += $(SYSTEM_TESTS) %D%/lib.bash tests/summary
check_PROGRAMS += $(SYSTEM_HELPERS)
%C%_lockcheck_SOURCES = %D%/lockcheck.c

AM_BATS_LOG_FLAGS = --tap
if !WITH_SANITIZERS
TESTS += $(SYSTEM_TESTS)
endif

.PHONY: check-system
check-system: all guests $(SYSTEM_HELPERS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(SYSTEM_TESTS)'
