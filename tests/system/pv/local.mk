# Parts of the pv engine on a real guest: log-dirty by tracking, proven page by page.
check_PROGRAMS += %D%/trackguest
%C%_trackguest_SOURCES = %D%/trackguest.c
%C%_trackguest_LDADD = hypervisor/pv/libpv.a hypervisor/pv/librestorer.a hypervisor/pv/libkernelfile.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a common/libcommon.a $(XXHASH_LIBS) \
	$(URING_LIBS) $(ZLIB_LIBS)
EXTRA_DIST += %D%/track.sh
# ... and its ops, by the engine contract (tests/system/engine.bats)
check_PROGRAMS += %D%/engineguest
%C%_engineguest_SOURCES = %D%/engineguest.c tests/system/realguest.h tests/system/realguest.c tests/unit/conform.h tests/unit/conform.c
%C%_engineguest_LDADD = hypervisor/pv/libpv.a hypervisor/pv/librestorer.a hypervisor/pv/libkernelfile.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a common/libcommon.a $(XXHASH_LIBS) \
	$(URING_LIBS) $(ZLIB_LIBS)
# the guest's memory limits do not fit a sanitizer's shadow memory
if !WITH_SANITIZERS
TESTS += %D%/track.sh
endif
