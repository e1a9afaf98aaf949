noinst_LIBRARIES += %D%/libclucore.a
%C%_libclucore_a_SOURCES = %D%/clu.h %D%/clu_cmd.h %D%/clu_policy.h %D%/clu_state.h %D%/level.h %D%/level.c %D%/clu.c %D%/policy.h %D%/policy.c %D%/record.h %D%/record.c %D%/apply.c %D%/apply_int.h %D%/apply_host.c %D%/apply_result.c %D%/apply_fail.c %D%/apply_disarm.c %D%/apply_set.c %D%/settings.h %D%/settings.c %D%/node.h %D%/node_msg.h %D%/node.c %D%/node_view.c %D%/node_lease.c %D%/node_clock.c %D%/node_await.c %D%/node_permit.c \
	%D%/node_int.h %D%/decide.h %D%/decide.c %D%/after.h %D%/after.c
%C%_libclucore_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
# who hears whom
%C%_libclucore_a_SOURCES += %D%/reach.h %D%/reach.c
