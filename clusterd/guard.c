/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-guard: ends the cluster's domains on this host when their lease is over, whatever else hangs or is dead. It holds the deadline,
 * which clusterd moves on, and how long before it domains are to be parked (0: never). Small on purpose: libc and common/ only, one
 * thread, no state but a file that lets a successor know what was allowed. See hospes-guard(8) and docs/fencing.md.
 */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>
#include "clusterd/io/guardmsg.h"
#include "clusterd/io/managed.h"
#include "clusterd/io/parking.h"
#include "common/log.h"
#include "common/util.h"

#define CLIENTS_MAX   4u
#define SWEEP_NS      (100 * NS_PER_MS) /* between two looks for domains that should be gone */
#define FEED_NS       NS_PER_S
#define WATCHDOG_S    10
#define STUCK_KILL_NS (10 * NS_PER_S) /* how long domains that do not die may keep the watchdog fed */

struct client {
	int fd, pidfd; /* -1: free */
	pid_t pid;
	uint64_t heard_ns;
};

struct guard {
	int listen_fd, signal_fd, timer_fd, watchdog_fd;
	struct client client[CLIENTS_MAX];
	uint64_t deadline_ns, park_ns;
	struct parking parking;
	uint64_t looked_ns;     /* the last look at clients */
	uint64_t over_since_ns; /* the deadline passed and something lives still; 0: no */
	bool said;
	char *deadline_path, *sock_path;
	char boot_id[40];
};

static int usage(FILE *to, int rc)
{
	fputs("usage: hospes-guard [--watchdog DEVICE|none] [--log-level error|warn|info|debug] [--version] [--help]\n"
	      "Ends this host's cluster domains when clusterd's lease is over. Listens on <run>/guard.sock.\n"
	      "  --watchdog DEVICE  feed it while all is well (default: /dev/watchdog, if there is one)\n",
	      to);
	return rc;
}

/* The deadline's file --------------------------------------------------------------------------------------------------- */

static void read_boot_id(struct guard *g)
{
	_cleanup_free_ char *text = NULL;

	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL) == 0) {
		text[strcspn(text, "\n")] = 0;
		(void)snprintf(g->boot_id, sizeof(g->boot_id), "%s", text);
	}
}

/* What an earlier guard was told, in this life of the machine. 0: nothing, so nothing may run. */
static void load_deadline(struct guard *g)
{
	_cleanup_free_ char *text = NULL;
	char id[40] = "";
	uint64_t ns = 0;
	unsigned park_ms = 0; /* an older guard wrote none */

	if (file_read(g->deadline_path, 128, &text, NULL) < 0)
		return;
	if (sscanf(text, "%" SCNu64 " %39s %u", &ns, id, &park_ms) >= 2 && !strcmp(id, g->boot_id) &&
	    ns < boot_ns() + GUARD_FAR_NS && park_ms <= GUARD_PARK_MS) {
		g->deadline_ns = ns;
		g->park_ns = park_ms * NS_PER_MS;
	} else
		log_warn("%s is of another boot or damaged: no domain may run", g->deadline_path);
}

static void save_deadline(struct guard *g)
{
	_cleanup_free_ char *tmp = xasprintf("%s.new", g->deadline_path);
	_cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char text[128];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %s %u\n", g->deadline_ns, g->boot_id,
	                 (unsigned)(g->park_ns / NS_PER_MS));

	/* losing it is safe: a successor then allows nothing. An old one is not: what is parked for that may go on by then. No fsync: it
	 * need not outlive the machine */
	if (fd < 0 || write(fd, text, (size_t)n) != n || rename(tmp, g->deadline_path) < 0) {
		log_warn("cannot write %s: %s", g->deadline_path, strerror(errno));
		(void)unlink(g->deadline_path);
	}
}

/* Domains -------------------------------------------------------------------------------------------------------------- */

static void told(void *arg, const char *name)
{
	const struct guard *g = arg;

	if (!g->said)
		log_warn("the lease is over: domain '%s' is ended", name);
}

static bool is_over(const struct guard *g)
{
	return boot_ns() >= g->deadline_ns;
}

/* Near the deadline: park what can be. Past it: end what lives, again and again until it is certain that nothing does. */
static void sweep(struct guard *g)
{
	int alive = parking_look(&g->parking, boot_ns(), g->deadline_ns, g->park_ns, told, g);

	if (!is_over(g))
		return;
	if (!alive) {
		if (g->over_since_ns)
			log_warn("the lease is over: all domains of the cluster are gone here");
		g->over_since_ns = 0;
		g->said = false;
		return;
	}
	if (alive < 0)
		log_error("cannot look for the cluster's domains: %s", strerror(-alive));
	if (!g->over_since_ns)
		g->over_since_ns = boot_ns();
	g->said = true;
}

/*
 * The next look: when parking begins and at the deadline, soon in between and when it is past, each second for the watchdog.
 * CLOCK_BOOTTIME counts a suspended machine's time.
 */
static void arm(struct guard *g)
{
	uint64_t now = boot_ns(), at = g->deadline_ns > now + g->park_ns ? g->deadline_ns - g->park_ns : now + SWEEP_NS;
	struct itimerspec its = { 0 };

	if (now < g->deadline_ns && at > g->deadline_ns)
		at = g->deadline_ns;

	if (at > now + FEED_NS)
		at = now + FEED_NS;
	its.it_value.tv_sec = (time_t)(at / NS_PER_S);
	its.it_value.tv_nsec = (long)(at % NS_PER_S);
	if (timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
		log_error("timer: %s", strerror(errno));
}

/* Watchdog ------------------------------------------------------------------------------------------------------------- */

static void open_watchdog(struct guard *g, const char *path, bool must)
{
	int timeout = WATCHDOG_S;

	g->watchdog_fd = open(path, O_WRONLY | O_CLOEXEC);
	if (g->watchdog_fd < 0) {
		if (must || errno != ENOENT)
			log_warn("no watchdog: %s: %s", path, strerror(errno));
		return;
	}
	/* the driver writes back what it took: some know few values, some one only */
	if (ioctl(g->watchdog_fd, WDIOC_SETTIMEOUT, &timeout) < 0 &&
	    ioctl(g->watchdog_fd, WDIOC_GETTIMEOUT, &timeout) < 0) {
		log_warn("watchdog %s does not say when it bites: it is fed, but its time is in no margin", path);
		return;
	}
	log_info("watchdog %s: this machine restarts when the guard does not feed it for %d s", path, timeout);
	if (timeout > WATCHDOG_S)
		log_warn("watchdog %s takes %d s, not %d: whoever counts on it sets margin_s=%d (docs/fencing.md)",
		         path, timeout, WATCHDOG_S, timeout + 1);
}

static void feed(struct guard *g)
{
	bool stuck = g->over_since_ns && boot_ns() > g->over_since_ns + STUCK_KILL_NS;

	if (g->watchdog_fd < 0)
		return;
	if (stuck)
		log_error("domains that must end do not: the watchdog is not fed any more");
	else if (write(g->watchdog_fd, "\0", 1) < 0)
		log_warn("watchdog: %s", strerror(errno));
}

/* clusterd ------------------------------------------------------------------------------------------------------------- */

static void client_drop(struct client *c)
{
	close(c->fd);
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct client){ .fd = -1, .pidfd = -1 };
}

static void on_connect(struct guard *g)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || (peer.uid != 0 && peer.uid != geteuid())) {
		log_warn("refused a client with user id %u", (unsigned)peer.uid);
		close(fd);
		return;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &g->client[i];

		if (c->fd >= 0)
			continue;
		*c = (struct client){
			.fd = fd, .pidfd = pidfd_open(peer.pid, 0), .pid = peer.pid, .heard_ns = boot_ns()
		};
		return;
	}
	close(fd);
}

/*
 * May @m move the deadline on? Not to where parking would be due at once, or that is past: that is of no use to what runs, and what is
 * parked for the present deadline had to say so anew.
 */
static bool moves_on(const struct guard *g, const struct guard_msg *m, uint64_t now)
{
	uint64_t park_ns = m->park_ms * NS_PER_MS;

	if (m->deadline_ns < g->deadline_ns || m->deadline_ns <= now + park_ns || m->park_ms > GUARD_PARK_MS)
		return false;
	return m->deadline_ns > g->deadline_ns || park_ns != g->park_ns;
}

static void on_client(struct guard *g, struct client *c)
{
	struct guard_msg m;
	ssize_t n = recv(c->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	uint64_t now = boot_ns();

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(m) || m.magic != GUARD_MAGIC) {
		client_drop(c);
		return;
	}
	c->heard_ns = now;
	if (m.deadline_ns > now + GUARD_FAR_NS)
		log_warn("a deadline that is too far off is not taken");
	else if (moves_on(g, &m, now)) {
		g->deadline_ns = m.deadline_ns;
		g->park_ns = m.park_ms * NS_PER_MS;
		save_deadline(g);
	}
	m.deadline_ns = g->deadline_ns;
	if (send(c->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		client_drop(c);
}

/* A clusterd that is connected, mute, and whose lease is over hangs; it would stay a member that does nothing. Its end lets others act. */
static void look_at_clients(struct guard *g)
{
	uint64_t now = boot_ns();
	bool stalled = now > g->looked_ns + GUARD_SILENT_NS / 2;

	g->looked_ns = now;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &g->client[i];

		if (stalled) /* the whole machine stood still, or this is the first look: who was mute could not speak */
			c->heard_ns = now;
		if (c->fd < 0 || now < c->heard_ns + GUARD_SILENT_NS || !g->deadline_ns)
			continue;
		log_error("clusterd (pid %d) hangs and its lease is over: killing it", (int)c->pid);
		if (c->pidfd >= 0)
			(void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
		client_drop(c);
	}
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static int listen_on(struct guard *g, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *dir = xasprintf("%s/cluster", path_run());
	int r = mkdir_p(dir, 0755);

	if (r < 0)
		return err_sys(err, r, "create %s", dir);
	g->deadline_path = xasprintf("%s/guard.deadline", dir);
	g->sock_path = xasprintf("%s/guard.sock", path_run());
	if (strlen(g->sock_path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", g->sock_path);
	strcpy(a.sun_path, g->sock_path);
	int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool alive = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (probe >= 0)
		close(probe);
	if (alive)
		return err_set(err, EADDRINUSE, "another hospes-guard serves %s", g->sock_path);
	(void)unlink(g->sock_path);
	g->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	r = g->listen_fd < 0 || bind(g->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(g->listen_fd, 4) < 0
	            ? -errno
	            : 0;
	(void)umask(old);
	return r < 0 ? err_sys(err, r, "listen on %s", g->sock_path) : 0;
}

/* Memory that is never paged out and a priority above all else: a host that is out of both must still stop its domains. */
static void be_urgent(void)
{
	struct sched_param p = { .sched_priority = 20 };

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_warn("memory is not locked: %s", strerror(errno));
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) < 0)
		log_warn("no real-time priority: %s", strerror(errno));
}

static int set_up(struct guard *g, struct err *err)
{
	sigset_t set;
	int r = listen_on(g, err);

	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	g->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->signal_fd < 0 || g->timer_fd < 0)
		return err_sys(err, errno, "set up");
	read_boot_id(g);
	load_deadline(g);
	return 0;
}

/* Until SIGTERM. That is refused to nobody, but while the lease is over the work is done first. */
static void serve(struct guard *g)
{
	for (;;) {
		struct pollfd p[3 + CLIENTS_MAX] = { { .fd = g->signal_fd, .events = POLLIN },
			                             { .fd = g->timer_fd, .events = POLLIN },
			                             { .fd = g->listen_fd, .events = POLLIN } };
		uint64_t ticks;

		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			p[3 + i] = (struct pollfd){ .fd = g->client[i].fd, .events = POLLIN };
		arm(g);
		if (poll(p, 3 + CLIENTS_MAX, -1) < 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
		(void)!read(g->timer_fd, &ticks, sizeof(ticks));
		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			if (g->client[i].fd >= 0 && p[3 + i].revents)
				on_client(g, &g->client[i]);
		if (p[2].revents)
			on_connect(g);
		if (boot_ns() + g->park_ns >= g->deadline_ns)
			sweep(g);
		if (is_over(g)) {
			look_at_clients(g);
		} else {
			g->over_since_ns = 0;
			g->said = false;
		}
		feed(g);
		if (p[0].revents && !g->over_since_ns)
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "watchdog", required_argument, NULL, 'w' },
		                              { "log-level", required_argument, NULL, 'l' },
		                              { "version", no_argument, NULL, 'V' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	static struct guard g = { .listen_fd = -1, .signal_fd = -1, .timer_fd = -1, .watchdog_fd = -1 };
	const char *watchdog = NULL;
	enum log_level level = LOG_LEVEL_INFO;
	struct err err = { 0 };

	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'w') {
			watchdog = optarg;
		} else if (c == 'V') {
			puts("hospes-guard " PACKAGE_VERSION);
			return 0;
		} else if (c == 'h') {
			return usage(stdout, 0);
		} else if (c != 'l' || log_level_parse(optarg, &level) < 0) {
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	log_init("hospes-guard", level);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		g.client[i] = (struct client){ .fd = -1, .pidfd = -1 };
	if (set_up(&g, &err) < 0) {
		log_error("%s", err.text);
		free(g.sock_path);
		free(g.deadline_path);
		return 1;
	}
	be_urgent();
	parking_take_over(&g.parking, boot_ns());
	if (!watchdog || strcmp(watchdog, "none"))
		open_watchdog(&g, watchdog ? watchdog : "/dev/watchdog", watchdog != NULL);
	log_info("guards; %s", g.deadline_ns > boot_ns() ? "a lease of before still runs"
	                                                 : "no lease: the cluster's domains may not run here");
	serve(&g);
	log_info("ends by signal");
	if (g.watchdog_fd >= 0 && write(g.watchdog_fd, "V", 1) < 0)
		log_warn("watchdog: %s", strerror(errno));
	(void)unlink(g.sock_path);
	free(g.sock_path);
	free(g.deadline_path);
	return 0;
}
