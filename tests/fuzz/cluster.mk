# Fuzz targets of clusterd: see local.mk.
fuzz_tests += %D%/replay_clumsg
%C%_replay_clumsg_SOURCES = %D%/fuzz_clumsg.c $(FUZZ_REPLAY)
%C%_replay_clumsg_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"clumsg"'
%C%_replay_clumsg_LDADD = $(CLUSTERD_LIBS) $(CLUSTERD_SYSLIBS)
