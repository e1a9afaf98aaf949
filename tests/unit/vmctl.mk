# vmctl against a stand-in for hvdom.
check_PROGRAMS += %D%/fake_hvdom
%C%_fake_hvdom_SOURCES = %D%/fake_hvdom.c
%C%_fake_hvdom_LDADD = hypervisor/libhvserver.a hypervisor/api/libhvcall.a hypervisor/api/xml/libdomxml.a common/libcommon.a $(XML_LIBS) $(XXHASH_LIBS)
TESTS += %D%/test_vmctl.bats %D%/test_create.bats
EXTRA_DIST += %D%/own.bash %D%/test_vmctl.bats %D%/test_create.bats
