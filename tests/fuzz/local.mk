# libFuzzer targets. "make fuzz" builds each with clang and runs it; "make check" replays its corpus with the normal compiler.
# To add one: fuzz_NAME.c, corpus/NAME/*, and the stanza of hvmsg below with your libraries, which both are linked with.
EXTRA_DIST += %D%/corpus
fuzz_tests =
FUZZ_REPLAY = %D%/replay_main.c %D%/fuzz.h

fuzz_tests += %D%/replay_hvmsg
%C%_replay_hvmsg_SOURCES = %D%/fuzz_hvmsg.c $(FUZZ_REPLAY)
%C%_replay_hvmsg_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"hvmsg"'
%C%_replay_hvmsg_LDADD = hypervisor/api/libhvcall.a common/libcommon.a

fuzz_tests += %D%/replay_leaserec
%C%_replay_leaserec_SOURCES = %D%/fuzz_leaserec.c $(FUZZ_REPLAY)
%C%_replay_leaserec_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"leaserec"'
%C%_replay_leaserec_LDADD = hypervisor/api/libhvcall.a common/libcommon.a $(XXHASH_LIBS)

fuzz_tests += %D%/replay_domxml
%C%_replay_domxml_SOURCES = %D%/fuzz_domxml.c $(FUZZ_REPLAY)
%C%_replay_domxml_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"domxml"'
%C%_replay_domxml_LDADD = hypervisor/api/xml/libdomxml.a common/libcommon.a $(XML_LIBS)

fuzz_tests += %D%/replay_savefile
%C%_replay_savefile_SOURCES = %D%/fuzz_savefile.c $(FUZZ_REPLAY)
%C%_replay_savefile_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"savefile"'
%C%_replay_savefile_LDADD = hypervisor/api/libsavefile.a common/libcommon.a $(LZ4_LIBS) $(XXHASH_LIBS)

include %D%/devices.mk
include %D%/pv.mk
include %D%/migrated.mk
include %D%/cluster.mk
include %D%/virtd.mk

check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests)

# fuzz/NAME is made of the sources and libraries of replay_NAME, but for replay_main.c. The libraries are built once more with the fuzzers'
# flags, from the same lists: fuzz/FOLDER/libX.a. (In a rule below, $* is the library or fuzzer, and its prerequisites are expanded late.)
FUZZERS += $(fuzz_tests:%D%/replay_%=fuzz/%)
fuzz_lib_objects = $(patsubst %.c,fuzz/%.o,$(filter %.c,$(foreach v,$(subst /,_,$(subst .,_,$(1)))_SOURCES,$($(v)) $(nodist_$(v)))))
fuzz_objects = $(patsubst %.c,fuzz/%.o,$(filter %.c,$(filter-out %/replay_main.c,$(%C%_replay_$(1)_SOURCES))))
fuzz_libs = $(addprefix fuzz/,$(filter %.a,$(%C%_replay_$(1)_LDADD)))
.SECONDEXPANSION:
$(FUZZERS): fuzz/%: $$(call fuzz_objects,$$*) $$(call fuzz_libs,$$*)
	$(AM_V_CCLD)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $(call fuzz_objects,$*) $(call fuzz_libs,$*) \
		$(filter-out %.a,$(%C%_replay_$*_LDADD)) -pthread
$(addprefix fuzz/,$(noinst_LIBRARIES)): fuzz/%: $$(call fuzz_lib_objects,$$*)
	$(AM_V_AR)rm -f $@ && $(AR) rcs $@ $^
fuzz/%.o: %.c | $(BUILT_SOURCES)
	$(AM_V_CC)$(MKDIR_P) $(@D) && $(CLANG) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
-include $(wildcard fuzz/*/*.d fuzz/*/*/*.d fuzz/*/*/*/*.d)
