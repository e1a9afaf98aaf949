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

struct client { /* a clusterd */
	int fd, pidfd;              /* owned; fd -1: free slot; pidfd -1: none */
	pid_t pid;
	uint64_t heard_ns;          /* of its last message */
	uint64_t moved_ns;          /* when it first extended the deadline; 0: never */
};

struct guard {
	int listen_fd, signal_fd, timer_fd, watchdog_fd;
	struct client client[CLIENTS_MAX];
	struct moment deadline;
	uint64_t park_ns, park_ticks; /* how long before it domains are parked, on each clock; 0: never */
	uint64_t life;              /* the host's life in the cluster to which the deadline belongs (guardmsg.h) */
	struct deadline_page *page; /* where domains read the deadline */
	struct parking parking;
	uint64_t looked_ns;         /* last check of the clients */
	unsigned kills;             /* of clusterds that hung, since one was well */
	uint64_t over_since_ns;     /* since when the deadline has passed and something still lives; 0: nothing does */
	uint64_t fed_ns;            /* when the watchdog was last fed */
	bool said;                  /* the log has the names of the domains being killed */
	bool ending, said_ending;   /* told to end; the log says why it does not yet */
	char **argv;                /* how it was started */
	char *deadline_path, *sock_path;
	char boot_id[DEADLINE_BOOT_ID];
};

/* guard_deadline.c: the file <run>/cluster/guard.deadline, for a successor. */
/* Take over the deadline that an earlier guard of this boot recorded; without one no domain may run. */
void guard_load_deadline(struct guard *g);
/* Record the deadline, then publish it in the page. */
void guard_save_deadline(struct guard *g);
/* End the lease at once: the deadline has passed. The page first. */
void guard_end_deadline(struct guard *g);

/* guard_domains.c */
bool guard_is_over(const struct guard *g); /* the deadline has passed */
uint64_t guard_now_ns(const struct guard *g); /* deadline_now_ns() of the deadline */
/* Near the deadline: park the domains. Past it: kill what lives and is not parked, again at each call until nothing does. */
void guard_sweep(struct guard *g);

/* guard_end.c */
void guard_on_signal(struct guard *g);
/*
 * True if no domain of the cluster lives here that this guard has to watch: past the deadline parked ones are none. A domain that cannot
 * be examined lives. Logs once why it is false.
 */
bool guard_may_end(struct guard *g);

/* guard_loop.c: guard until SIGTERM, and then until nothing of the cluster lives here. */
void guard_serve(struct guard *g);

/* guard_watchdog.c. @must: warn if the device does not exist. */
void guard_open_watchdog(struct guard *g, const char *path, bool must);
void guard_feed(struct guard *g); /* unless domains have failed to die for too long */

/* guard_clients.c */
void guard_on_connect(struct guard *g);
void guard_on_client(struct guard *g, struct client *c);
void guard_look_at_clients(struct guard *g); /* past the deadline: kill a clusterd that hangs */

#endif
