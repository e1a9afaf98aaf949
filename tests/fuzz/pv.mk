# Fuzz targets of the pv engine: see local.mk.
fuzz_tests += %D%/replay_pvimage %D%/replay_kernelfile %D%/replay_setstate
FUZZ_PV_LIBS = hypervisor/libhv.a hypervisor/pv/libpv.a hypervisor/pv/libkernelfile.a hypervisor/logdirty/liblogdirty.a hypervisor/api/libhvcall.a common/libcommon.a $(XXHASH_LIBS)

%C%_replay_pvimage_SOURCES = %D%/fuzz_pvimage.c $(FUZZ_REPLAY)
%C%_replay_pvimage_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"pvimage"'
%C%_replay_pvimage_LDADD = $(FUZZ_PV_LIBS)

%C%_replay_kernelfile_SOURCES = %D%/fuzz_kernelfile.c $(FUZZ_REPLAY)
%C%_replay_kernelfile_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"kernelfile"'
%C%_replay_kernelfile_LDADD = $(FUZZ_PV_LIBS)

%C%_replay_setstate_SOURCES = %D%/fuzz_setstate.c $(FUZZ_REPLAY)
%C%_replay_setstate_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"setstate"'
%C%_replay_setstate_LDADD = $(FUZZ_PV_LIBS)
