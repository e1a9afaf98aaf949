# The migration daemon against a stand-in for hvdom: fast, no guest kernel, crashes at every step.
check_PROGRAMS += %D%/hvdom
%C%_hvdom_SOURCES = %D%/fake_hvdom.c
%C%_hvdom_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(ZMQ_CFLAGS)
%C%_hvdom_LDADD = hypervisor/libhvserver.a $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
TESTS += %D%/mig.bats
EXTRA_DIST += %D%/mig.bats %D%/lib.bash
