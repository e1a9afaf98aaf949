# Unit tests of the virtio devices.
dev_tests = %D%/test_flash %D%/test_guestmem %D%/test_virtq %D%/test_vhost_user %D%/test_beat %D%/test_devs %D%/test_agentdev %D%/test_vudev %D%/test_vuqemu %D%/test_transport %D%/test_blklease %D%/test_devstate %D%/test_vnet %D%/test_enic %D%/test_diskfail %D%/test_ioblocked %D%/test_nblk
check_PROGRAMS += $(dev_tests)
TESTS += $(dev_tests)
DEV_TEST_LIBS = hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a $(TEST_LIBS) $(URING_LIBS) $(ZLIB_LIBS)

%C%_test_guestmem_SOURCES = %D%/test_guestmem.c %D%/vdriver.h %D%/vdriver.c
%C%_test_guestmem_LDADD = $(DEV_TEST_LIBS)
%C%_test_virtq_SOURCES = %D%/test_virtq.c %D%/vdriver.h %D%/vdriver.c
%C%_test_virtq_LDADD = $(DEV_TEST_LIBS)

%C%_test_vhost_user_SOURCES = %D%/test_vhost_user.c
%C%_test_vhost_user_LDADD = $(DEV_TEST_LIBS)

%C%_test_beat_SOURCES = %D%/test_beat.c
%C%_test_beat_LDADD = $(DEV_TEST_LIBS)

DEV_FIXTURE = %D%/devfixture.h %D%/devfixture.c %D%/vdriver.h %D%/vdriver.c
# errors and stalls are put between the disk worker and the kernel
%C%_test_diskfail_SOURCES = %D%/test_diskfail.c $(DEV_FIXTURE)
%C%_test_diskfail_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pwritev2,--wrap=pwritev64v2,--wrap=preadv,--wrap=preadv64,--wrap=fsync
%C%_test_diskfail_LDADD = $(DEV_TEST_LIBS)

%C%_test_nblk_SOURCES = %D%/test_nblk.c %D%/vdriver.h %D%/vdriver.c
%C%_test_nblk_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pwritev2,--wrap=pwritev64v2,--wrap=preadv,--wrap=preadv64,--wrap=fdatasync
%C%_test_nblk_LDADD = $(DEV_TEST_LIBS)

%C%_test_ioblocked_SOURCES = %D%/test_ioblocked.c $(DEV_FIXTURE)
%C%_test_ioblocked_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_uring_submit
%C%_test_ioblocked_LDADD = $(DEV_TEST_LIBS)

%C%_test_devs_SOURCES = %D%/test_devs.c $(DEV_FIXTURE)
%C%_test_devs_LDFLAGS = $(AM_LDFLAGS) $(ALLOC_WRAP)
%C%_test_devs_LDADD = $(DEV_TEST_LIBS)

%C%_test_vudev_SOURCES = %D%/test_vudev.c $(DEV_FIXTURE)
%C%_test_vudev_LDADD = $(DEV_TEST_LIBS)

%C%_test_vuqemu_SOURCES = %D%/test_vuqemu.c $(DEV_FIXTURE)
%C%_test_vuqemu_LDADD = $(DEV_TEST_LIBS)

%C%_test_transport_SOURCES = %D%/test_transport.c %D%/vdriver.h %D%/vdriver.c
%C%_test_transport_LDADD = $(DEV_TEST_LIBS)

%C%_test_blklease_SOURCES = %D%/test_blklease.c $(DEV_FIXTURE)
%C%_test_blklease_LDADD = $(DEV_TEST_LIBS)

%C%_test_vnet_SOURCES = %D%/test_vnet.c %D%/vdriver.h %D%/vdriver.c
%C%_test_vnet_LDADD = $(DEV_TEST_LIBS)

%C%_test_enic_SOURCES = %D%/test_enic.c %D%/vdriver.h %D%/vdriver.c
%C%_test_enic_LDADD = $(DEV_TEST_LIBS)

%C%_test_agentdev_SOURCES = %D%/test_agentdev.c $(DEV_FIXTURE)
%C%_test_agentdev_LDADD = $(DEV_TEST_LIBS)
%C%_test_devstate_SOURCES = %D%/test_devstate.c $(DEV_FIXTURE)
%C%_test_devstate_LDADD = $(DEV_TEST_LIBS)

# qcow2 images, beside qemu-img
dev_tests_qcow2 = %D%/test_qcow2 %D%/test_qcow2cut %D%/test_qcow2dev
check_PROGRAMS += $(dev_tests_qcow2)
TESTS += $(dev_tests_qcow2)
QCOW2_FIXTURE = %D%/qcow2fix.h %D%/qcow2fix.c
%C%_test_qcow2_SOURCES = %D%/test_qcow2.c $(QCOW2_FIXTURE)
%C%_test_qcow2_LDADD = $(DEV_TEST_LIBS)
# every write to the image is recorded
%C%_test_qcow2cut_SOURCES = %D%/test_qcow2cut.c $(QCOW2_FIXTURE)
%C%_test_qcow2cut_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pwritev2,--wrap=pwritev64v2,--wrap=fdatasync,--wrap=fallocate,--wrap=fallocate64
%C%_test_qcow2cut_LDADD = $(DEV_TEST_LIBS)
# a full disk, between worker and kernel
%C%_test_qcow2dev_SOURCES = %D%/test_qcow2dev.c $(DEV_FIXTURE)
%C%_test_qcow2dev_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pwritev2,--wrap=pwritev64v2
%C%_test_qcow2dev_LDADD = $(DEV_TEST_LIBS)
%C%_test_flash_SOURCES = %D%/test_flash.c
%C%_test_flash_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
%C%_test_flash_LDADD = hypervisor/dev/libhvdev.a $(TEST_LIBS)
