# Fuzz targets of clusterd: see local.mk.
fuzz_tests += %D%/replay_clumsg
%C%_replay_clumsg_SOURCES = %D%/fuzz_clumsg.c $(FUZZ_REPLAY)
%C%_replay_clumsg_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"clumsg"'
%C%_replay_clumsg_LDADD = $(CLUSTERD_LIBS) $(CLUSTERD_SYSLIBS)
FUZZERS += fuzz/clumsg
fuzz/clumsg: FUZZ_LIBS = $(PROTOBUFC_LIBS) $(XXHASH_LIBS)
fuzz/clumsg: %D%/fuzz_clumsg.c clusterd/io/cluwire.c clusterd/io/cluwire_cmd.c \
	$(addprefix clusterd/core/, clu.c policy.c record.c apply.c apply_host.c apply_result.c apply_fail.c) proto/cluster.pb-c.c proto/policy.pb-c.c common/buf.c common/err.c common/util.c
	$(FUZZ_LINK)
