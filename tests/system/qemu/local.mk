# Engine qemu on a real guest, by the engine contract: `make check-qemu`, part of soak.
check_PROGRAMS += %D%/qemuguest
%C%_qemuguest_SOURCES = %D%/qemuguest.c tests/system/realguest.h tests/system/realguest.c tests/unit/conform.h tests/unit/conform.c
%C%_qemuguest_LDADD = hypervisor/qemu/libqemu.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a hypervisor/api/liblaunch.a hypervisor/api/xml/libdomxml.a clusterd/guard/libguard.a hypervisor/api/libpathconf.a common/libcommon.a $(XXHASH_LIBS) $(XML_LIBS) \
	$(URING_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += %D%/contract.sh
SOAK_TARGETS += check-qemu
PHONY += check-qemu
check-qemu: all guests %D%/qemuguest
	top_builddir=. sh $(top_srcdir)/%D%/contract.sh
