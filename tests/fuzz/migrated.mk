# Fuzz targets of migrated: see local.mk.
fuzz_tests += %D%/replay_migcontrol %D%/replay_migframe %D%/replay_migfiles

%C%_replay_migcontrol_SOURCES = %D%/fuzz_migcontrol.c $(FUZZ_REPLAY)
%C%_replay_migcontrol_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migcontrol"'
%C%_replay_migcontrol_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)

%C%_replay_migframe_SOURCES = %D%/fuzz_migframe.c $(FUZZ_REPLAY)
%C%_replay_migframe_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migframe"'
%C%_replay_migframe_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)

%C%_replay_migfiles_SOURCES = %D%/fuzz_migfiles.c $(FUZZ_REPLAY)
%C%_replay_migfiles_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUFC_CFLAGS) -DFUZZ_NAME='"migfiles"'
%C%_replay_migfiles_LDADD = $(MIGRATED_LIBS) $(MIGRATED_SYSLIBS)
