# Unit tests of hypervisor/api.
hvapi_tests = %D%/test_firmware %D%/test_hvmsg %D%/test_hvcheck %D%/test_hvproc %D%/test_leaserec %D%/test_domxml %D%/test_domxmlfuzz %D%/test_domrules %D%/test_cpufeat %D%/test_savefile
check_PROGRAMS += $(hvapi_tests)
TESTS += $(hvapi_tests)

%C%_test_hvmsg_SOURCES = %D%/test_hvmsg.c
%C%_test_hvmsg_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

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
