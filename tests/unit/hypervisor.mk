# Unit tests of hypervisor/ but its devices and api/ (hvapi.mk).
hypervisor_tests = %D%/test_hvcall %D%/test_engine %D%/test_domlife %D%/test_domown %D%/test_domplug %D%/test_display
check_PROGRAMS += $(hypervisor_tests)
TESTS += $(hypervisor_tests)

%C%_test_hvcall_SOURCES = %D%/test_hvcall.c
%C%_test_hvcall_LDADD = hypervisor/libhvserver.a hypervisor/api/libhvcall.a common/libcommon.a $(TEST_LIBS)

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
