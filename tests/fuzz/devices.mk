# Fuzz targets of devices: see local.mk.
fuzz_tests += %D%/replay_virtq %D%/replay_vhost_user %D%/replay_devstate %D%/replay_vudev %D%/replay_nblk %D%/replay_qcow2
FUZZ_DEV_LIBS = hypervisor/dev/libhvdev.a hypervisor/api/libimgchain.a clusterd/guard/libguard.a common/libcommon.a $(URING_LIBS) $(ZLIB_LIBS)

%C%_replay_virtq_SOURCES = %D%/fuzz_virtq.c $(FUZZ_REPLAY)
%C%_replay_virtq_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"virtq"'
%C%_replay_virtq_LDADD = $(FUZZ_DEV_LIBS)

%C%_replay_vhost_user_SOURCES = %D%/fuzz_vhost_user.c $(FUZZ_REPLAY)
%C%_replay_vhost_user_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vhost_user"'
%C%_replay_vhost_user_LDADD = $(FUZZ_DEV_LIBS)

%C%_replay_devstate_SOURCES = %D%/fuzz_devstate.c %D%/fuzzdevs.h %D%/fuzzdevs.c $(FUZZ_REPLAY)
%C%_replay_devstate_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"devstate"'
%C%_replay_devstate_LDADD = $(FUZZ_DEV_LIBS)

%C%_replay_vudev_SOURCES = %D%/fuzz_vudev.c %D%/fuzzdevs.h %D%/fuzzdevs.c $(FUZZ_REPLAY)
%C%_replay_vudev_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vudev"'
%C%_replay_vudev_LDADD = $(FUZZ_DEV_LIBS)

%C%_replay_nblk_SOURCES = %D%/fuzz_nblk.c %D%/fuzzdevs.h %D%/fuzzdevs.c $(FUZZ_REPLAY)
%C%_replay_nblk_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"nblk"'
%C%_replay_nblk_LDADD = $(FUZZ_DEV_LIBS)

%C%_replay_qcow2_SOURCES = %D%/fuzz_qcow2.c $(FUZZ_REPLAY)
%C%_replay_qcow2_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"qcow2"'
%C%_replay_qcow2_LDADD = $(FUZZ_DEV_LIBS)
