# A real guest on the device library alone.
check_PROGRAMS += %D%/devboot %D%/devguest
%C%_devboot_SOURCES = %D%/devboot.c
%C%_devboot_LDADD = hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a common/libcommon.a $(URING_LIBS) $(ZLIB_LIBS)
# runs inside the guest, which has no libraries
%C%_devguest_SOURCES = %D%/devguest.c
%C%_devguest_CFLAGS = -std=gnu11 $(WARN_CFLAGS) -O2 -fno-pie
%C%_devguest_LDFLAGS = -static -no-pie
EXTRA_DIST += %D%/devboot.sh %D%/devinit
TESTS += %D%/devboot.sh
