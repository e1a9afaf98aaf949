/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of hospes-guard (main.c), and what they share. One thread. */
#ifndef HOSPES_CLUSTERD_GUARD_INT_H
#define HOSPES_CLUSTERD_GUARD_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "clusterd/guard/parking.h"
#include "clusterd/guard/deadline.h"

#define CLIENTS_MAX 4u

struct client {
	int fd, pidfd; /* -1: free */
	pid_t pid;
	uint64_t heard_ns;
	uint64_t moved_ns; /* when it moved the deadline on for the first time; 0: not yet */
};

struct guard {
	int listen_fd, signal_fd, timer_fd, watchdog_fd;
	struct client client[CLIENTS_MAX];
	struct moment deadline;
	uint64_t park_ns, park_ticks;
	uint64_t life;              /* that the deadline is of */
	struct deadline_page *page; /* where domains read it */
	struct parking parking;
	uint64_t looked_ns;     /* the last look at clients */
	unsigned kills;         /* of clusterds that hung, since one was well */
	uint64_t over_since_ns; /* the deadline passed and something lives still; 0: no */
	uint64_t fed_ns;        /* the watchdog */
	bool said;
	bool ending, said_ending; /* told to end, and why it does not yet */
	char **argv;              /* how it was started */
	char *deadline_path, *sock_path;
	char boot_id[DEADLINE_BOOT_ID];
};

/* guard_deadline.c: what a successor keeps to. */
/* What an earlier guard was told, in this life of the machine. 0: nothing, so nothing may run. */
void guard_load_deadline(struct guard *g);
/* The page of domains follows: what ends them comes there first, what lets them go on last. */
void guard_save_deadline(struct guard *g);
/* Set deadline.tsc so that it is over. */
void guard_end_deadline(struct guard *g);

/* guard_domains.c */
bool guard_is_over(const struct guard *g);
/* The time, as deadline_now_ns() has it. */
uint64_t guard_now_ns(const struct guard *g);
/* Near the deadline: park what can be. Past it: end what lives, again and again until it is certain that nothing does. */
void guard_sweep(struct guard *g);

/* guard_end.c */
void guard_on_signal(struct guard *g);
/* Does nothing of the cluster live here but what stands still for good? What cannot be looked at lives. Says once why not. */
bool guard_may_end(struct guard *g);

/* guard_loop.c: guard until SIGTERM, and then until nothing of the cluster lives here. */
void guard_serve(struct guard *g);

/* guard_watchdog.c. Not @must: a device that does not exist is not missed. */
void guard_open_watchdog(struct guard *g, const char *path, bool must);
void guard_feed(struct guard *g);

/* guard_clients.c: clusterd. */
void guard_on_connect(struct guard *g);
void guard_on_client(struct guard *g, struct client *c);
void guard_look_at_clients(struct guard *g);

#endif
