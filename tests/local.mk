# Tests: one fragment per kind and area, so that additions do not collide.
include %D%/unit/common.mk
include %D%/unit/hvapi.mk
include %D%/unit/vmclus.mk
include %D%/unit/clucore.mk
include %D%/unit/cluplace.mk
include %D%/unit/cluio.mk
include %D%/sim/local.mk
include %D%/sim/clu.mk
if HYPERVISOR
include %D%/unit/hypervisor.mk
include %D%/unit/dev.mk
include %D%/unit/pv.mk
include %D%/unit/qemu.mk
include %D%/unit/migrated.mk
include %D%/unit/vmctl.mk
include %D%/unit/virtd.mk
include %D%/scenario/local.mk
include %D%/model/local.mk
include %D%/fuzz/local.mk
include %D%/system/local.mk
include %D%/migrated/local.mk
include %D%/guests/local.mk
include %D%/arm64/local.mk
endif

# What only computes: no clock, socket or other process matters to it, however slowly it runs. quickstart runs it beside the cluster's tests,
# which mostly wait; the rest alone.
# The longest first.
COMPUTE_TESTS = %D%/sim/simclu-long %D%/sim/simclu %D%/unit/test_cluplan %D%/sim/simmig %D%/model/ownership.sh %D%/model/lists.sh %D%/scenario/migstories.sh %D%/scenario/planstories.sh \
	$(fuzz_tests)
PHONY += check-compute check-rest check-programs
# after `all`, which makes the generated headers that they include
check-programs: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
check-compute: check-programs
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(COMPUTE_TESTS)'
check-rest: check-programs
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(filter-out $(COMPUTE_TESTS),$(TESTS))'

# who may include whom
EXTRA_DIST += tests/includes.sh

# what --json prints
TESTS += tests/jsonschemas.sh
EXTRA_DIST += tests/jsonschemas.sh

# what the documents link to
TESTS += tests/links.sh
EXTRA_DIST += tests/links.sh
