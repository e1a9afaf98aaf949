# Placement and balancing: pure. -fno-math-errno: a square root is one instruction, no call.
noinst_LIBRARIES += %D%/libcluplan.a
%C%_libcluplan_a_SOURCES = %D%/place.h %D%/place_int.h %D%/say_int.h %D%/slots_int.h %D%/place.c %D%/place_rules.c %D%/place_admit.c %D%/place_check.c %D%/rehearse.h %D%/rehearse.c \
	%D%/plan.h %D%/plan_int.h %D%/plan.c %D%/plan_layout.c %D%/plan_search.c %D%/plan_refine.c %D%/plan_rebuild.c %D%/plan_state.c
%C%_libcluplan_a_CFLAGS = $(AM_CFLAGS) -fno-math-errno
