# Parts of the pv engine on a real guest: log-dirty by tracking, proven page by page.
check_PROGRAMS += %D%/trackguest
%C%_trackguest_SOURCES = %D%/trackguest.c
%C%_trackguest_LDADD = hypervisor/pv/libpv.a hypervisor/pv/librestorer.a hypervisor/pv/libkernelfile.a hypervisor/dev/libhvdev.a clusterd/guard/libguard.a common/libcommon.a $(XXHASH_LIBS) \
	$(URING_LIBS)
EXTRA_DIST += %D%/track.sh
# the guest's memory limits do not fit a sanitizer's shadow memory
if !WITH_SANITIZERS
TESTS += %D%/track.sh
endif
