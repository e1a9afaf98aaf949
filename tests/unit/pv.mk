# Unit tests of the pv engine.
pv_tests = %D%/test_logdirty %D%/test_trackrules
check_PROGRAMS += $(pv_tests)
TESTS += $(pv_tests)

%C%_test_logdirty_SOURCES = %D%/test_logdirty.c
%C%_test_logdirty_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_logdirty_LDADD = hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a $(TEST_LIBS) $(XXHASH_LIBS) $(URING_LIBS) $(ZLIB_LIBS)

%C%_test_trackrules_SOURCES = %D%/test_trackrules.c
%C%_test_trackrules_LDADD = hypervisor/pv/libpv.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a $(TEST_LIBS)

pv_more_tests = %D%/test_pvimage %D%/test_pvfilter %D%/test_kernelfile %D%/test_pvmaps %D%/test_lease %D%/test_conlog %D%/test_dommem \
	%D%/test_cgroup %D%/test_park %D%/test_adopt %D%/test_slow %D%/test_rundir %D%/test_memcheck %D%/test_freeze %D%/test_pvlife
check_PROGRAMS += $(pv_more_tests)
TESTS += $(pv_more_tests)
PV_TEST_LIBS = hypervisor/libhv.a hypervisor/pv/libpv.a hypervisor/pv/libkernelfile.a hypervisor/logdirty/liblogdirty.a hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a hypervisor/api/libhvcall.a $(TEST_LIBS) \
	$(XXHASH_LIBS) $(URING_LIBS) $(ZLIB_LIBS)

%C%_test_pvimage_SOURCES = %D%/test_pvimage.c %D%/imagesample.h %D%/imagesample.c
%C%_test_pvimage_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_pvimage_LDADD = $(PV_TEST_LIBS)
%C%_test_pvfilter_SOURCES = %D%/test_pvfilter.c
%C%_test_pvfilter_LDADD = $(PV_TEST_LIBS)
%C%_test_kernelfile_SOURCES = %D%/test_kernelfile.c
%C%_test_kernelfile_LDADD = $(PV_TEST_LIBS)
%C%_test_pvmaps_SOURCES = %D%/test_pvmaps.c
%C%_test_pvmaps_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_pvmaps_LDADD = $(PV_TEST_LIBS)
%C%_test_lease_SOURCES = %D%/test_lease.c
%C%_test_lease_LDADD = $(PV_TEST_LIBS)
%C%_test_conlog_SOURCES = %D%/test_conlog.c
%C%_test_conlog_LDADD = $(PV_TEST_LIBS)
%C%_test_dommem_SOURCES = %D%/test_dommem.c
%C%_test_dommem_LDADD = $(PV_TEST_LIBS)
%C%_test_rundir_SOURCES = %D%/test_rundir.c
%C%_test_rundir_LDADD = hypervisor/api/libhvcall.a $(TEST_LIBS)
%C%_test_memcheck_SOURCES = %D%/test_memcheck.c
%C%_test_memcheck_LDADD = hypervisor/api/libhvcall.a $(TEST_LIBS)
%C%_test_adopt_SOURCES = %D%/test_adopt.c
%C%_test_adopt_LDADD = $(PV_TEST_LIBS)
%C%_test_freeze_SOURCES = %D%/test_freeze.c
%C%_test_freeze_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=now_ns -Wl,--wrap=waitpid -Wl,--wrap=pt_set_sigmask
%C%_test_freeze_LDADD = $(PV_TEST_LIBS)
%C%_test_pvlife_SOURCES = %D%/test_pvlife.c
%C%_test_pvlife_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pv_files_open -Wl,--wrap=pv_files_done -Wl,--wrap=pv_sandbox_new -Wl,--wrap=pv_sandbox_clear \
	-Wl,--wrap=pv_sandbox_done -Wl,--wrap=pv_sandbox_boot -Wl,--wrap=pv_freeze -Wl,--wrap=pv_fds_learn -Wl,--wrap=pv_dump -Wl,--wrap=pv_restore
%C%_test_pvlife_LDADD = hypervisor/pv/libpv.a hypervisor/pv/librestorer.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a $(PV_TEST_LIBS)
%C%_test_slow_SOURCES = %D%/test_slow.c
%C%_test_slow_LDADD = $(PV_TEST_LIBS)
%C%_test_park_SOURCES = %D%/test_park.c
%C%_test_park_LDADD = $(PV_TEST_LIBS)
%C%_test_cgroup_SOURCES = %D%/test_cgroup.c
%C%_test_cgroup_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=mkdir -Wl,--wrap=mkdirat -Wl,--wrap=rmdir
%C%_test_cgroup_LDADD = $(PV_TEST_LIBS)
