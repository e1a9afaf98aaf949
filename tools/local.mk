# Command line tools: vmctl, vmmig, vmlab.
EXTRA_DIST += %D%/packages.txt
include %D%/lab.mk
include %D%/vmctl.mk
include %D%/mig.mk
include %D%/clus.mk
