# Virtio devices: libhvdev.a, with guest memory, which only they touch.
noinst_LIBRARIES += %D%/libhvdev.a
%C%_libhvdev_a_CPPFLAGS = $(AM_CPPFLAGS) $(URING_CFLAGS) $(XXHASH_CFLAGS) $(ZLIB_CFLAGS)
%C%_libhvdev_a_SOURCES = %D%/devs.h hypervisor/guestmem.h hypervisor/guestmem.c \
	%D%/vdev_int.h %D%/devs.c %D%/devs_kinds.c %D%/look.c %D%/vdev.c %D%/vudev.h %D%/vudev_int.h %D%/vudev.c %D%/vuqemu.c \
	%D%/vhost_user.h %D%/vhost_user.c %D%/virtq.h %D%/virtq.c \
	%D%/flash.h %D%/flash.c %D%/blkio.h %D%/blkio.c %D%/blkerr.h %D%/blkerr.c %D%/blkdisk_int.h %D%/blkdisk.c %D%/vblk.c %D%/nbd.h %D%/nbd.c %D%/nblk.h %D%/nblk_int.h %D%/nblk.c %D%/nblk_conn.c \
	%D%/qcow2.h %D%/qcow2_int.h %D%/qcow2.c %D%/qcow2_cache.c %D%/qcow2_read.c %D%/qcow2_load.c %D%/qcow2_alloc.c %D%/qcow2_flush.c %D%/qcow2_write.c %D%/qcow2_grow.c \
	%D%/devs_plug.c %D%/nic_int.h %D%/nic.c %D%/vnet.c %D%/enic.h %D%/enic.c \
	%D%/beat.h %D%/beat.c %D%/vconsole.c %D%/vrng.c %D%/vballoon.c
