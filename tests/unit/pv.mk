# Unit tests of the pv engine.
pv_tests = %D%/test_logdirty
check_PROGRAMS += $(pv_tests)
TESTS += $(pv_tests)

%C%_test_logdirty_SOURCES = %D%/test_logdirty.c
%C%_test_logdirty_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_logdirty_LDADD = hypervisor/pv/libpv.a hypervisor/dev/libhvdev.a $(TEST_LIBS) $(XXHASH_LIBS) $(URING_LIBS)
