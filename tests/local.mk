# Tests: one fragment per kind and area, so that additions do not collide.
include %D%/unit/common.mk
include %D%/unit/hypervisor.mk
include %D%/unit/dev.mk
include %D%/unit/pv.mk
include %D%/unit/migrated.mk
include %D%/unit/vmctl.mk
include %D%/unit/clucore.mk
include %D%/unit/cluplace.mk
include %D%/unit/cluio.mk
include %D%/scenario/local.mk
include %D%/sim/local.mk
include %D%/sim/clu.mk
include %D%/model/local.mk
include %D%/fuzz/local.mk
include %D%/system/local.mk
include %D%/migrated/local.mk
include %D%/guests/local.mk
