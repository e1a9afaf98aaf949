# Command line tools: vmctl, vmmig, vmlab.
EXTRA_DIST += %D%/packages.txt

# What they share.
noinst_LIBRARIES += %D%/libcli.a
%C%_libcli_a_SOURCES = %D%/cli.h %D%/jsonconn.h %D%/cli.c %D%/jsonconn.c
%C%_libcli_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

include %D%/lab.mk
include %D%/vmctl.mk
include %D%/mig.mk
include %D%/clus.mk
