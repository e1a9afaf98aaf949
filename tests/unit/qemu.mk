# Unit tests of engine qemu: no guest, no QEMU.
qemu_tests = %D%/test_qholes %D%/test_qsoft %D%/test_qtrack %D%/test_qstate %D%/test_qmp %D%/test_qargs %D%/test_qcpu %D%/test_domarch %D%/test_qengine %D%/test_qplug
check_PROGRAMS += $(qemu_tests)
TESTS += $(qemu_tests)

%C%_test_qsoft_SOURCES = %D%/test_qsoft.c %D%/trackguest.c %D%/trackguest.h
%C%_test_qsoft_LDADD = hypervisor/qemu/libqemu.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a $(TEST_LIBS) $(XXHASH_LIBS) $(URING_LIBS) $(ZLIB_LIBS)
%C%_test_qtrack_SOURCES = %D%/test_qtrack.c %D%/trackguest.c %D%/trackguest.h
%C%_test_qtrack_LDADD = $(%C%_test_qsoft_LDADD)
%C%_test_qholes_SOURCES = %D%/test_qholes.c
%C%_test_qholes_LDADD = hypervisor/qemu/libqemu.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a $(TEST_LIBS)

%C%_test_qstate_SOURCES = %D%/test_qstate.c
%C%_test_qstate_LDADD = hypervisor/qemu/libqemu.a common/libcommon.a $(TEST_LIBS) $(XXHASH_LIBS)

%C%_test_qmp_SOURCES = %D%/test_qmp.c
%C%_test_qmp_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_qmp_LDADD = hypervisor/qemu/libqemu.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_qargs_SOURCES = %D%/test_qargs.c %D%/qargstext.h
%C%_test_qargs_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_qargs_LDADD = hypervisor/qemu/libqemu.a hypervisor/api/liblaunch.a hypervisor/api/libpathconf.a hypervisor/api/xml/libdomxml.a common/libcommon.a $(TEST_LIBS) $(XML_LIBS) $(JANSSON_LIBS)

%C%_test_qcpu_SOURCES = %D%/test_qcpu.c
%C%_test_qcpu_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_qcpu_LDADD = $(%C%_test_qargs_LDADD)

%C%_test_domarch_SOURCES = %D%/test_domarch.c %D%/qargstext.h
%C%_test_domarch_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_domarch_LDADD = $(%C%_test_qargs_LDADD)

# its QEMU is played by the test, which has a qproc_start() of its own
%C%_test_qengine_SOURCES = %D%/test_qengine.c
%C%_test_qengine_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_qengine_LDADD = hypervisor/qemu/libqemu.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a hypervisor/api/liblaunch.a hypervisor/api/xml/libdomxml.a clusterd/guard/libguard.a hypervisor/api/libpathconf.a common/libcommon.a \
	$(TEST_LIBS) $(XXHASH_LIBS) $(XML_LIBS) $(URING_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS)

%C%_test_qplug_SOURCES = %D%/test_qplug.c
%C%_test_qplug_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_qplug_LDADD = $(%C%_test_qargs_LDADD)
