# Fuzz targets of devices: see local.mk.
fuzz_tests += %D%/replay_virtq %D%/replay_vhost_user %D%/replay_devstate %D%/replay_vudev
FUZZ_DEV_LIBS = hypervisor/dev/libhvdev.a clusterd/guard/libguard.a common/libcommon.a $(URING_LIBS)
FUZZ_DEV_FILES = hypervisor/guestmem.c $(addprefix hypervisor/dev/, \
	beat.c devs.c devs_kinds.c vdev.c vudev.c vhost_user.c virtq.c blkio.c blkerr.c vblk.c tap.c vnet.c vconsole.c vrng.c vballoon.c) \
	common/boundlog.c common/buf.c common/clocks.c clusterd/guard/deadline.c common/err.c common/loop.c common/pathopen.c common/util.c

%C%_replay_virtq_SOURCES = %D%/fuzz_virtq.c $(FUZZ_REPLAY)
%C%_replay_virtq_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"virtq"'
%C%_replay_virtq_LDADD = $(FUZZ_DEV_LIBS)
FUZZERS += fuzz/virtq
fuzz/virtq: %D%/fuzz_virtq.c hypervisor/guestmem.c hypervisor/dev/virtq.c common/err.c common/util.c
	$(FUZZ_LINK)

%C%_replay_vhost_user_SOURCES = %D%/fuzz_vhost_user.c $(FUZZ_REPLAY)
%C%_replay_vhost_user_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vhost_user"'
%C%_replay_vhost_user_LDADD = $(FUZZ_DEV_LIBS)
FUZZERS += fuzz/vhost_user
fuzz/vhost_user: %D%/fuzz_vhost_user.c hypervisor/dev/vhost_user.c
	$(FUZZ_LINK)

%C%_replay_devstate_SOURCES = %D%/fuzz_devstate.c %D%/fuzzdevs.h %D%/fuzzdevs.c $(FUZZ_REPLAY)
%C%_replay_devstate_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"devstate"'
%C%_replay_devstate_LDADD = $(FUZZ_DEV_LIBS)
FUZZERS += fuzz/devstate
fuzz/devstate: FUZZ_LIBS = $(URING_LIBS)
fuzz/devstate: %D%/fuzz_devstate.c %D%/fuzzdevs.c $(FUZZ_DEV_FILES)
	$(FUZZ_LINK)

%C%_replay_vudev_SOURCES = %D%/fuzz_vudev.c %D%/fuzzdevs.h %D%/fuzzdevs.c $(FUZZ_REPLAY)
%C%_replay_vudev_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vudev"'
%C%_replay_vudev_LDADD = $(FUZZ_DEV_LIBS)
FUZZERS += fuzz/vudev
fuzz/vudev: FUZZ_LIBS = $(URING_LIBS)
fuzz/vudev: %D%/fuzz_vudev.c %D%/fuzzdevs.c $(FUZZ_DEV_FILES)
	$(FUZZ_LINK)
