/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that stand for hvdom: each holds a domain's lock and listens on its socket, or behaves as its manner says. */
#ifndef HOSPES_TESTS_UNIT_STANDIN_H
#define HOSPES_TESTS_UNIT_STANDIN_H

#include <sys/types.h>
#include "tests/unit/testutil.h"

enum manner {
	LISTENS,            /* and accepts nothing */
	NO_SOCKET,
	FULL_BACKLOG,       /* nobody can connect any more */
	UNLOCKS,            /* gives up its lock, as a hijacked one can */
	UNREGISTERED,       /* writes no record (common/procs.h), as one of an older version */
	PARKS,              /* answers HV_OP_PARK: done */
	REFUSES,            /* answers HV_OP_PARK: busy */
	PARKS_AND_HANGS_UP, /* answers as PARKS, then closes the connection */
};

/* Start one for the domain @name. Returns when it holds its lock, or was killed before. It ends with the test. */
pid_t hvdom(const char *name, enum manner how);
/* Kill and reap a child; 0 is none. */
void end_child(pid_t pid);
/* True if the child @pid ends within @ms milliseconds; then it is reaped. */
bool ends(pid_t pid, unsigned ms);

#endif
