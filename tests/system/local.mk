# Tests with real guests, daemons and network namespaces.
include %D%/dev/local.mk
