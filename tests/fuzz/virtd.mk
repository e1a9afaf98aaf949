# Fuzz target of hospes-virtd: see local.mk.
fuzz_tests += %D%/replay_vdargs

%C%_replay_vdargs_SOURCES = %D%/fuzz_vdargs.c $(FUZZ_REPLAY)
%C%_replay_vdargs_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vdargs"'
%C%_replay_vdargs_LDADD = $(VIRTD_LIBS) $(VMHOST_SYSLIBS)
