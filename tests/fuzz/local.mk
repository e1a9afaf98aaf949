# libFuzzer targets. "make fuzz" builds each with clang and runs it; "make check" replays its corpus with the normal compiler.
# To add one: fuzz_NAME.c, corpus/NAME/*, and the stanza of hvmsg below with your sources and libraries.
EXTRA_DIST += %D%/corpus
fuzz_tests =
FUZZ_REPLAY = %D%/replay_main.c %D%/fuzz.h

fuzz_tests += %D%/replay_hvmsg
%C%_replay_hvmsg_SOURCES = %D%/fuzz_hvmsg.c $(FUZZ_REPLAY)
%C%_replay_hvmsg_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"hvmsg"'
%C%_replay_hvmsg_LDADD = hypervisor/api/libhvcall.a common/libcommon.a
FUZZERS += fuzz/hvmsg
fuzz/hvmsg: %D%/fuzz_hvmsg.c hypervisor/api/hvmsg.c common/err.c common/util.c
	$(FUZZ_LINK)

fuzz_tests += %D%/replay_leaserec
%C%_replay_leaserec_SOURCES = %D%/fuzz_leaserec.c $(FUZZ_REPLAY)
%C%_replay_leaserec_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"leaserec"'
%C%_replay_leaserec_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(XXHASH_LIBS)
FUZZERS += fuzz/leaserec
fuzz/leaserec: FUZZ_LIBS = $(XXHASH_LIBS)
fuzz/leaserec: %D%/fuzz_leaserec.c hypervisor/api/leaserec.c common/err.c common/util.c
	$(FUZZ_LINK)

fuzz_tests += %D%/replay_domxml
%C%_replay_domxml_SOURCES = %D%/fuzz_domxml.c $(FUZZ_REPLAY)
%C%_replay_domxml_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"domxml"'
%C%_replay_domxml_LDADD = hypervisor/api/xml/libdomxml.a common/libcommon.a $(XML_LIBS)
FUZZERS += fuzz/domxml
fuzz/domxml: %D%/fuzz_domxml.c hypervisor/api/xml/domxml_dev.c hypervisor/api/xml/domxml_format.c hypervisor/api/xml/domxml_known.c \
	hypervisor/api/xml/domxml_parse.c hypervisor/api/xml/domxml_util.c common/err.c common/util.c
	$(FUZZ_LINK)

fuzz_tests += %D%/replay_savefile
%C%_replay_savefile_SOURCES = %D%/fuzz_savefile.c $(FUZZ_REPLAY)
%C%_replay_savefile_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"savefile"'
%C%_replay_savefile_LDADD = hypervisor/api/libsavefile.a common/libcommon.a $(LZ4_LIBS) $(XXHASH_LIBS)
FUZZERS += fuzz/savefile
fuzz/savefile: %D%/fuzz_savefile.c hypervisor/api/savefile_read.c common/err.c common/util.c
	$(FUZZ_LINK)

include %D%/devices.mk
include %D%/pv.mk
include %D%/migrated.mk
include %D%/cluster.mk

check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests)
