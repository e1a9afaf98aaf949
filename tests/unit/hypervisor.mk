# Unit tests of hypervisor/ but its devices.
hypervisor_tests = %D%/test_firmware %D%/test_hvmsg %D%/test_hvcall %D%/test_hvcheck %D%/test_hvproc %D%/test_leaserec %D%/test_domxml %D%/test_domxmlfuzz %D%/test_domrules %D%/test_cpufeat %D%/test_savefile %D%/test_engine %D%/test_domlife %D%/test_domown %D%/test_domplug %D%/test_display
check_PROGRAMS += $(hypervisor_tests)
TESTS += $(hypervisor_tests)

%C%_test_hvmsg_SOURCES = %D%/test_hvmsg.c
%C%_test_hvmsg_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

%C%_test_hvcall_SOURCES = %D%/test_hvcall.c
%C%_test_hvcall_LDADD = hypervisor/libhvserver.a hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

%C%_test_hvcheck_SOURCES = %D%/test_hvcheck.c
%C%_test_hvcheck_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_hvcheck_LDADD = hypervisor/api/liblaunch.a hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS) $(JANSSON_LIBS)

%C%_test_hvproc_SOURCES = %D%/test_hvproc.c %D%/standin.h %D%/standin.c
%C%_test_hvproc_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_hvproc_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

%C%_test_leaserec_SOURCES = %D%/test_leaserec.c
%C%_test_leaserec_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

EXTRA_DIST += %D%/xml
%C%_test_domxml_SOURCES = %D%/test_domxml.c
%C%_test_domxml_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_domxml_LDADD = hypervisor/api/xml/libdomxml.a common/libcommon.a $(TEST_LIBS) $(XML_LIBS)

%C%_test_domxmlfuzz_SOURCES = %D%/test_domxmlfuzz.c
%C%_test_domxmlfuzz_LDADD = $(%C%_test_domxml_LDADD)

%C%_test_domrules_SOURCES = %D%/test_domrules.c
%C%_test_domrules_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_domrules_LDADD = $(%C%_test_domxml_LDADD)

%C%_test_cpufeat_SOURCES = %D%/test_cpufeat.c
%C%_test_cpufeat_LDADD = hypervisor/api/liblaunch.a common/libcommon.a $(TEST_LIBS)

%C%_test_savefile_SOURCES = %D%/test_savefile.c
%C%_test_savefile_LDADD = hypervisor/api/libsavefile.a common/libcommon.a $(TEST_LIBS) $(LZ4_LIBS) $(XXHASH_LIBS)

%C%_test_firmware_SOURCES = %D%/test_firmware.c
%C%_test_firmware_LDADD = hypervisor/api/libpathconf.a hypervisor/api/xml/libdomxml.a common/libcommon.a $(TEST_LIBS) $(XML_LIBS) $(JANSSON_LIBS)

# what every engine has to pass
%C%_test_engine_SOURCES = %D%/test_engine.c %D%/conform.h %D%/conform.c %D%/fake_engine.h %D%/fake_engine.c
%C%_test_engine_LDADD = hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a common/libcommon.a $(TEST_LIBS)
%C%_test_domlife_SOURCES = %D%/test_domlife.c %D%/fake_engine.h %D%/fake_engine.c
%C%_test_domlife_LDADD = hypervisor/libhv.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a hypervisor/api/libhvcall.a $(TEST_LIBS) $(XXHASH_LIBS) $(URING_LIBS) $(ZLIB_LIBS)

%C%_test_domown_SOURCES = %D%/test_domown.c
%C%_test_domown_LDADD = $(%C%_test_domlife_LDADD)

%C%_test_domplug_SOURCES = %D%/test_domplug.c
%C%_test_domplug_LDADD = hypervisor/libhv.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a hypervisor/api/libhvcall.a hypervisor/api/xml/libdomxml.a \
	$(TEST_LIBS) $(XXHASH_LIBS) $(URING_LIBS) $(ZLIB_LIBS) $(XML_LIBS)

%C%_test_display_SOURCES = %D%/test_display.c
%C%_test_display_LDADD = hypervisor/libhv.a hypervisor/api/libpathconf.a common/libcommon.a $(TEST_LIBS) $(JANSSON_LIBS)

TESTS += %D%/test_hvdom.bats
EXTRA_DIST += %D%/test_hvdom.bats
