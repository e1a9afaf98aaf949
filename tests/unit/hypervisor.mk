# Unit tests of hypervisor/ but its devices.
hypervisor_tests = %D%/test_hvmsg %D%/test_hvcall
check_PROGRAMS += $(hypervisor_tests)
TESTS += $(hypervisor_tests)

%C%_test_hvmsg_SOURCES = %D%/test_hvmsg.c
%C%_test_hvmsg_LDADD = hypervisor/libhvcall.a common/libcommon.a $(TEST_LIBS)

%C%_test_hvcall_SOURCES = %D%/test_hvcall.c
%C%_test_hvcall_LDADD = hypervisor/libhvcall.a common/libcommon.a $(TEST_LIBS)
