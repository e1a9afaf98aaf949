# Fuzz target of hospes-virtd: see local.mk.
fuzz_tests += %D%/replay_vdargs

%C%_replay_vdargs_SOURCES = %D%/fuzz_vdargs.c $(FUZZ_REPLAY)
%C%_replay_vdargs_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vdargs"'
%C%_replay_vdargs_LDADD = $(VIRTD_LIBS) $(VMHOST_SYSLIBS)

fuzz_tests += %D%/replay_vdtls
%C%_replay_vdtls_SOURCES = %D%/fuzz_vdtls.c $(FUZZ_REPLAY)
%C%_replay_vdtls_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"vdtls"'
%C%_replay_vdtls_LDADD = virtd/libvirtd.a common/libcommon.a
