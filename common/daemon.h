/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the main() functions of the daemons share: the command line, the log, and for a daemon with an event loop its life from the start to
 * the end. A struct daemon says what one has of its own. Main thread.
 */
#ifndef HOSPES_COMMON_DAEMON_H
#define HOSPES_COMMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/err.h"
#include "common/loop.h"

struct buf;
struct worker_here;

struct daemon {
	const char *name;      /* in the log */
	const char *version;   /* the line that --version prints */
	const char *usage;     /* the text that --help prints, its last newline included */
	const char *option;    /* the daemon's own option, without the dashes */
	bool option_value;     /* the option takes a value */
	const char *level_env; /* the environment variable with the log level, which --log-level overrides; NULL: none */
	/* Serves one request of a helper process (worker.h). NULL: the daemon has no helpers. */
	void (*helper)(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply);

	/* For daemon_run(), whose @arg they receive. */
	const char *at_end;    /* what the daemon's end means for domains: "ends by signal 15; AT_END" */
	/* Before the loop runs. 0, or -errno with the text: the daemon ends with status 1. */
	int (*start)(void *arg, struct loop *loop, struct err *err);
	/* The child process @pid has ended with @status, as waitpid(2) has it. */
	void (*child)(void *arg, pid_t pid, int status);
	/* Undo start(), also one that failed half-way. The loop still exists. */
	void (*end)(void *arg);
};

/*
 * Read the command line and begin the log. *@ret_own: the value of the daemon's own option, "" if it takes none, NULL if it was not given.
 * Returns -1 to go on, else the exit status: 0 after --help or --version, 2 after wrong usage (the text is on stderr), or that of a helper.
 */
int daemon_options(const struct daemon *d, int argc, char **argv, const char **ret_own) _must_check_;
/*
 * Run an event loop until SIGTERM or SIGINT, and reap children. The service manager hears when start() is done. SIGPIPE is
 * ignored from then on. Returns the exit status.
 */
int daemon_run(const struct daemon *d, void *arg) _must_check_;

#endif
