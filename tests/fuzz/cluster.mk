# Fuzz targets of clusterd: see local.mk.
fuzz_tests += %D%/replay_clumsg
%C%_replay_clumsg_SOURCES = %D%/fuzz_clumsg.c $(FUZZ_REPLAY)
%C%_replay_clumsg_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"clumsg"'
%C%_replay_clumsg_LDADD = $(CLUSTERD_LIBS) $(CLUSTERD_SYSLIBS)

fuzz_tests += %D%/replay_member
%C%_replay_member_SOURCES = %D%/fuzz_member.c $(FUZZ_REPLAY)
%C%_replay_member_CPPFLAGS = $(AM_CPPFLAGS) $(ZMQ_CFLAGS) $(JANSSON_CFLAGS) -DFUZZ_NAME='"member"'
%C%_replay_member_LDADD = $(MEMBER_LIBS) common/libcommon.a $(MEMBER_SYSLIBS)
