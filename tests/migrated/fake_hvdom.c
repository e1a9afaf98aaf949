/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for hvdom that serves the real hypercall ABI with a guest made of one thread: it writes to its memory all the time
 * and can prove that no write was lost. Migration tests use it to try crashes fast and without a guest kernel. Its "disk" is a
 * lock file and a lease beside it, in $FAKE_DISK: two running copies cannot both hold the lock, and a violation is written down
 * in $FAKE_DISK.violations. Guest: page i of the hot set holds a count and its complement; the sum of counts is the "register" that
 * travels in the state blob.
 */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/hvserver.h"
#include "migrated/io/preflight.h"

struct guest_state {
	uint64_t magic, total, rng, generation;
	char pad[200000];
};
#define STATE_MAGIC 0x66616b6531ull

static struct {
	struct loop *loop;
	struct dom_config *cfg;
	char *xml;
	char host[64];
	struct hvserver *srv;
	int ram_fd, bitmap_fd, disk_fd;
	uint8_t *ram;
	uint64_t *bitmap, pages, hot;
	_Atomic uint64_t *log; /* written since the last CLEAN */
	uint64_t *shadow;      /* hash mode: a word per page */
	uint32_t mode;
	struct hv_owner lease;
	char *lease_path, *disk;
	uint32_t state;
	uint64_t generation, total, rng, pause_us;
	bool paused, incoming, taken, suspended_by_conn;
	struct hvconn *session;
	pthread_t thread;
	atomic_bool run, stopped;
} g;

static void violation(const char *what)
{
	_cleanup_free_ char *path = xasprintf("%s.violations", g.disk);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	log_error("VIOLATION: %s", what);
	if (fd < 0 || write(fd, what, strlen(what)) < 0 || write(fd, "\n", 1) < 0)
		abort();
}

/* Sum of all counts against the register: a page that was not carried over shows here. */
static void check_memory(const char *when)
{
	uint64_t sum = 0;

	for (uint64_t i = 1; i <= g.hot; i++) {
		uint64_t *p = (uint64_t *)(g.ram + i * PAGE_BYTES);
		if (p[1] != ~p[0] && (p[0] || p[1]))
			violation("a page is torn");
		if (p[511] != p[0])
			violation("a page's end is stale");
		sum += p[0];
	}
	if (sum != g.total) {
		_cleanup_free_ char *t = xasprintf("%s: counts are %llu, register is %llu", when,
		                                   (unsigned long long)sum, (unsigned long long)g.total);
		violation(t);
	}
}

static void *guest_main(void *arg)
{
	(void)arg;
	for (;;) {
		if (!atomic_load(&g.run)) {
			atomic_store(&g.stopped, true);
			while (!atomic_load(&g.run))
				usleep(50);
			atomic_store(&g.stopped, false);
		}
		for (int k = 0; k < 64; k++) {
			g.rng = g.rng * 6364136223846793005ull + 1442695040888963407ull;
			uint64_t i = 1 + (g.rng >> 33) % g.hot;
			uint64_t *p = (uint64_t *)(g.ram + i * PAGE_BYTES);
			p[0]++;
			p[1] = ~p[0];
			p[511] = p[0];
			g.total++;
			atomic_fetch_or(&g.log[i / 64], 1ull << (i % 64));
		}
		if (g.pause_us)
			usleep((useconds_t)g.pause_us);
	}
	return NULL;
}

static int disk_lock(bool on)
{
	struct flock fl = { .l_type = on ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET };

	return fcntl(g.disk_fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

static void lease_write(uint64_t generation, const char *owner)
{
	g.lease.generation = generation;
	snprintf(g.lease.owner, sizeof(g.lease.owner), "%s", owner);
	if (file_write_atomic(g.lease_path, &g.lease, sizeof(g.lease), 0600) < 0)
		abort();
}

static struct hv_owner lease_read(void)
{
	struct hv_owner o = { 0 };
	_cleanup_free_ char *p = NULL;
	size_t len;

	if (file_read(g.lease_path, 4096, &p, &len) == 0 && len == sizeof(o))
		memcpy(&o, p, sizeof(o));
	return o;
}

static void guest_stop(void)
{
	atomic_store(&g.run, false);
	while (!atomic_load(&g.stopped))
		usleep(20);
}

static void guest_go(void)
{
	if (disk_lock(true) < 0)
		violation("runs without its disk's lock");
	struct hv_owner o = lease_read();
	if (o.generation != g.generation || strcmp(o.owner, g.host))
		violation("runs without the lease");
	g.state = HV_DOM_RUNNING;
	atomic_store(&g.run, true);
}

static uint64_t word_of(uint64_t page)
{
	uint64_t *p = (uint64_t *)(g.ram + page * PAGE_BYTES);

	return p[0];
}

static uint64_t clean(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < (g.pages + 63) / 64; i++) {
		uint64_t v = atomic_exchange(&g.log[i], 0);
		if (g.mode == HV_LOGDIRTY_COMPARE) {
			v = 0;
			for (uint64_t b = 0; b < 64 && i * 64 + b < g.pages && i * 64 + b <= g.hot; b++)
				if (g.shadow[i * 64 + b] != word_of(i * 64 + b)) {
					g.shadow[i * 64 + b] = word_of(i * 64 + b);
					v |= 1ull << b;
				}
		}
		g.bitmap[i] = v;
		n += (unsigned)__builtin_popcountll(v);
	}
	return n;
}

/* What a compromised hvdom would try: $FAKE_EVIL. */
static bool evil(const char *what)
{
	const char *e = getenv("FAKE_EVIL");

	return e && !strcmp(e, what);
}

static void memory_new(void)
{
	g.pages = g.cfg->memory_bytes / PAGE_BYTES;
	g.ram_fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	g.bitmap_fd = memfd_create("bitmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(g.ram_fd, (off_t)g.cfg->memory_bytes) < 0 ||
	    ftruncate(g.bitmap_fd, (off_t)((g.pages + 63) / 64 * 8)) < 0)
		abort();
	g.ram = mmap(NULL, g.cfg->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g.ram_fd, 0);
	g.bitmap = mmap(NULL, (g.pages + 63) / 64 * 8, PROT_READ | PROT_WRITE, MAP_SHARED, g.bitmap_fd, 0);
	g.log = calloc((g.pages + 63) / 64, 8);
	g.shadow = calloc(g.pages + 64, 8);
	if (g.ram == MAP_FAILED || g.bitmap == MAP_FAILED || !g.log || !g.shadow)
		abort();
	if (!evil("unsealed") && (fcntl(g.ram_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ||
	                          fcntl(g.bitmap_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		abort();
}

static void reply_state(struct hvconn *c, uint64_t cookie)
{
	struct guest_state st = { .magic = STATE_MAGIC, .total = g.total, .rng = g.rng, .generation = g.generation };
	struct hv_state_rep rep = { .size_bytes = sizeof(st) };
	_cleanup_close_ int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0 || write_full(fd, &st, sizeof(st)) < 0)
		abort();
	int p[2];
	if (evil("pipe") && pipe(p) == 0) {
		hvconn_reply(c, HV_OP_GET_STATE, cookie, &rep, sizeof(rep), &p[0],
		             1); /* both ends stay open: nothing ever comes */
		return;
	}
	hvconn_reply(c, HV_OP_GET_STATE, cookie, &rep, sizeof(rep), &fd, 1);
}

static void fail(struct hvconn *c, uint16_t op, uint64_t cookie, int code, const char *text)
{
	struct err e = { 0 };

	(void)err_set(&e, code, "%s", text);
	hvconn_fail(c, op, cookie, &e);
}

static void set_state(struct hvconn *c, uint64_t cookie, int *fds, size_t n)
{
	struct guest_state st;

	if (!g.incoming || n != 1 || pread(fds[0], &st, sizeof(st), 0) != sizeof(st) || st.magic != STATE_MAGIC) {
		fail(c, HV_OP_SET_STATE, cookie, EINVAL, "not a state");
		return;
	}
	g.total = st.total;
	g.rng = st.rng;
	check_memory("restore");
	g.state = HV_DOM_RESTORED;
	hvconn_reply(c, HV_OP_SET_STATE, cookie, NULL, 0, NULL, 0);
}

static void take(struct hvconn *c, uint16_t op, uint64_t cookie, const struct hv_owner *ow)
{
	struct hv_owner now = lease_read();

	if (op == HV_OP_TAKE ? g.state != HV_DOM_RESTORED : g.state != HV_DOM_RELINQUISHED)
		fail(c, op, cookie, EINVAL, "wrong state");
	else if (ow->generation < now.generation || (ow->generation == now.generation && strcmp(now.owner, ow->owner)))
		fail(c, op, cookie, EPERM, "the lease says otherwise");
	else if (disk_lock(true) < 0)
		fail(c, op, cookie, EAGAIN, "the disk is locked");
	else {
		g.generation = ow->generation;
		lease_write(ow->generation, ow->owner);
		g.state = HV_DOM_SUSPENDED;
		g.session = c;
		g.incoming = false;
		g.taken = true;
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
	}
}

/* $FAKE_BASE, a digit: the build of a firmware that it has. */
static const char *base(void)
{
	return getenv("FAKE_BASE") ?: "";
}

static void send_info(struct hvconn *c, uint64_t cookie)
{
	struct hv_info i = { .state = g.paused && g.state == HV_DOM_RUNNING ? HV_DOM_PAUSED : g.state,
		             .vcpus = 1,
		             .ram_bytes = g.cfg->memory_bytes,
		             .ram_current_bytes = g.cfg->memory_bytes,
		             .generation = g.generation,
		             .pid = getpid(),
		             .base = { strtoull(base(), NULL, 16), 0 },
		             .base_bytes = *base() ? 3653632 : 0 };

	snprintf(i.name, sizeof(i.name), "%s", g.cfg->name);
	snprintf(i.uuid, sizeof(i.uuid), "%s", g.cfg->uuid);
	snprintf(i.owner, sizeof(i.owner), "%s", g.host);
	hvconn_reply(c, HV_OP_INFO, cookie, &i, sizeof(i), NULL, 0);
}

static void send_map(struct hvconn *c, uint64_t cookie)
{
	struct hv_map_rep m = { .n_regions = 1, .page_bytes = PAGE_BYTES, .bitmap_bytes = (g.pages + 63) / 64 * 8 };
	_cleanup_close_ int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int fds[2] = { evil("no-ram") ? empty : g.ram_fd, evil("no-bitmap") ? empty : g.bitmap_fd };

	if (fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		abort();
	m.region[0].size_bytes = g.cfg->memory_bytes;
	strcpy(m.region[0].name, "ram");
	if (g.incoming)
		g.session = c;
	hvconn_reply(c, HV_OP_MAP_MEMORY, cookie, &m, sizeof(m), fds, 2);
}

static const char *identity(void)
{
	const char *id = getenv("FAKE_IDENTITY");

	return id ? id : "one";
}

static void send_hello(struct hvconn *c, uint64_t cookie)
{
	struct hv_hello h = { .version = 1,
		              .caps = HV_CAP_MIGRATE | HV_CAP_LOGDIRTY_COMPARE | HV_CAP_LOGDIRTY_RECORD,
		              .engine = "pv",
		              .build = "fake" };

	snprintf(h.kernel_id, sizeof(h.kernel_id), "%s", identity());
	hvconn_reply(c, HV_OP_HELLO, cookie, &h, sizeof(h), NULL, 0);
}

static void end_soon(void *arg)
{
	(void)arg;
	loop_quit(g.loop, 0);
}

static void do_suspend(struct hvconn *c, uint64_t cookie)
{
	struct hv_suspend_rep r = { 0 };

	if (g.state != HV_DOM_RUNNING) {
		fail(c, HV_OP_SUSPEND, cookie, EINVAL, "does not run");
		return;
	}
	guest_stop();
	g.state = HV_DOM_SUSPENDED;
	g.session = c;
	hvconn_reply(c, HV_OP_SUSPEND, cookie, &r, sizeof(r), NULL, 0);
}

static void do_resume(struct hvconn *c, uint64_t cookie)
{
	struct hv_resume_rep r = { 0 };

	if (g.state != HV_DOM_SUSPENDED) {
		fail(c, HV_OP_RESUME, cookie, EPERM, "does not own the domain, or is not suspended");
		return;
	}
	g.incoming = false;
	guest_go();
	r.running_at_ns = now_ns();
	hvconn_reply(c, HV_OP_RESUME, cookie, &r, sizeof(r), NULL, 0);
}

static void do_logdirty(struct hvconn *c, uint16_t op, uint64_t cookie, const void *p)
{
	struct hv_logdirty_rep r = { 0 };
	const struct hv_logdirty_req *q = p;

	if (op == HV_OP_LOGDIRTY_ENABLE) {
		g.session = c;
		g.mode = q->mode ? q->mode : HV_LOGDIRTY_RECORD;
		r.by = g.mode == HV_LOGDIRTY_NONE     ? HV_LOGDIRTY_BY_NOTHING
		       : g.mode == HV_LOGDIRTY_RECORD ? HV_LOGDIRTY_BY_SCAN
		                                      : HV_LOGDIRTY_BY_HASH;
		for (uint64_t i = 0; i <= g.hot; i++)
			atomic_fetch_or(&g.log[i / 64], 1ull << (i % 64));
		memset(g.shadow, 0xff, g.pages * 8);
	} else {
		r.dirty_pages = clean();
	}
	r.mode = g.mode;
	hvconn_reply(c, op, cookie, &r, sizeof(r), NULL, 0);
}

static void relinquish(struct hvconn *c, uint64_t cookie, const struct hv_owner *ow)
{
	if (g.state != HV_DOM_SUSPENDED) {
		fail(c, HV_OP_RELINQUISH, cookie, EINVAL, "not suspended");
		return;
	}
	g.state = HV_DOM_RELINQUISHED;
	g.generation = ow->generation;
	lease_write(ow->generation, ow->owner);
	(void)disk_lock(false);
	hvconn_reply(c, HV_OP_RELINQUISH, cookie, NULL, 0, NULL, 0);
}

static void tell(enum hv_event_kind kind, enum hv_dom_state state)
{
	struct hv_event ev = { .kind = kind, .state = state, .at_ns = now_ns() };

	hvserver_event(g.srv, &ev);
}

static void on_request(void *arg, struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len,
                       int *fds, size_t n_fds)
{
	uint8_t req[512] = { 0 };
	struct hv_owner ow;

	(void)arg;
	memcpy(req, payload, len < sizeof(req) ? len : sizeof(req));
	memcpy(&ow, req, sizeof(ow));
	switch (op) {
	case HV_OP_HELLO:
		send_hello(c, cookie);
		return;
	case HV_OP_INFO:
		send_info(c, cookie);
		return;
	case HV_OP_STATS: {
		struct hv_stats st = { .ram_bytes = g.cfg->memory_bytes, .ram_used_bytes = g.hot * PAGE_BYTES };
		hvconn_reply(c, op, cookie, &st, sizeof(st), NULL, 0);
		return;
	}
	case HV_OP_DUMPXML:
		hvconn_reply(c, op, cookie, g.xml, strlen(g.xml), NULL, 0);
		return;
	case HV_OP_MAP_MEMORY:
		send_map(c, cookie);
		return;
	case HV_OP_LOGDIRTY_ENABLE:
	case HV_OP_LOGDIRTY_CLEAN:
		do_logdirty(c, op, cookie, req);
		return;
	case HV_OP_SUSPEND:
		do_suspend(c, cookie);
		return;
	case HV_OP_RESUME:
		do_resume(c, cookie);
		return;
	case HV_OP_GET_STATE:
		reply_state(c, cookie);
		return;
	case HV_OP_SET_STATE:
		set_state(c, cookie, fds, n_fds);
		return;
	case HV_OP_RELINQUISH:
		relinquish(c, cookie, &ow);
		return;
	case HV_OP_TAKE:
	case HV_OP_RECLAIM:
		take(c, op, cookie, &ow);
		return;
	case HV_OP_LEASE:
		ow = lease_read();
		hvconn_reply(c, op, cookie, &ow, sizeof(ow), NULL, 0);
		return;
	case HV_OP_MEMHASH: {
		struct hv_memhash_rep r = { .n_regions = 1, .hash = { 14695981039346656037ull } };
		for (uint64_t i = 0; i <= g.hot; i++)
			r.hash[0] = (r.hash[0] ^ word_of(i)) * 1099511628211ull;
		hvconn_reply(c, op, cookie, &r, sizeof(r), NULL, 0);
		return;
	}
	case HV_OP_PAUSE:
		g.paused = true;
		g.incoming = false;
		g.state = HV_DOM_PAUSED;
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		return;
	case HV_OP_SUBSCRIBE:
		hvconn_subscribe(c, true);
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		return;
	case HV_OP_REBOOT:
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		tell(HV_EV_REBOOT, HV_DOM_SHUTDOWN);
		g.mode = 0; /* its new memory is not watched */
		return;
	case HV_OP_SHUTDOWN:
	case HV_OP_DESTROY:
		tell(op == HV_OP_SHUTDOWN ? HV_EV_POWEROFF : HV_EV_STATE, HV_DOM_SHUTDOWN);
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		if (loop_post(g.loop, end_soon, NULL) < 0)
			abort();
		return;
	case HV_OP_THROTTLE:
		g.pause_us = req[0] * 20u;
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
		return;
	default:
		hvconn_reply(c, op, cookie, NULL, 0, NULL, 0);
	}
}

static void on_closed(void *arg, struct hvconn *c)
{
	(void)arg;
	if (g.incoming && !g.taken && g.session == c) {
		log_info("incoming, not taken: ends");
		loop_quit(g.loop, 0);
	} else if (g.session == c) {
		g.session = NULL;
		if (g.state == HV_DOM_SUSPENDED)
			guest_go();
	}
}

static void say_ready(int fd, const char *text)
{
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		abort();
	if (fd >= 0)
		close(fd);
}

static void on_term(void *arg, int sig)
{
	(void)arg, (void)sig;
	loop_quit(g.loop, 0);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "config", required_argument, NULL, 'c' },
		                              { "incoming", no_argument, NULL, 'i' },
		                              { "ready-fd", required_argument, NULL, 'r' },
		                              { "check", required_argument, NULL, 'C' },
		                              { 0 } };
	static const struct hvserver_ops ops = { on_request, on_closed };
	static const int sigs[] = { SIGTERM, SIGINT, 0 };
	const char *config = NULL, *hot = getenv("FAKE_HOT_PAGES"), *pause = getenv("FAKE_PAUSE_US");
	int ready = -1;
	struct err err = { 0 };

	log_init("fake-hvdom", LOG_LEVEL_INFO);
	for (int o; (o = getopt_long(argc, argv, "", opts, NULL)) >= 0;) {
		if (o == 'C') { /* $FAKE_WHY: it cannot run the domain */
			const char *why = getenv("FAKE_WHY");
			printf("{\"engine\":\"pv\",\"runs\":%s,\"identity\":\"%s\",\"newer\":%s,\"why\":\"%s\"",
			       why ? "false" : "true", identity(), (getenv("FAKE_NEWER") ?: "")[0] ? "true" : "false",
			       why ? why : "");
			if (*base())
				printf(",\"base\":\"%016llx%016x\"", strtoull(base(), NULL, 16), 0);
			printf("}\n");
			return 0;
		}
		if (o == 'c')
			config = optarg;
		else if (o == 'i')
			g.incoming = true;
		else if (o == 'r')
			ready = atoi(optarg);
	}
	size_t n;
	if (!config || file_read(config, 1 << 20, &g.xml, &n) < 0 ||
	    dom_config_parse(g.xml, n, config, &g.cfg, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	g.disk = xasprintf("%s", g.cfg->disk[0].source);
	g.lease_path = xasprintf("%s.lease", g.disk);
	const char *host = getenv("FAKE_HOST");
	snprintf(g.host, sizeof(g.host), "%s", host ? host : "host");
	memory_new();
	g.hot = hot ? strtoull(hot, NULL, 10) : g.pages / 2;
	g.pause_us = pause ? strtoull(pause, NULL, 10) : 1000;
	g.disk_fd = open(g.disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	_cleanup_free_ char *dir = xasprintf("%s/dom/%s", path_run(), g.cfg->name),
			    *sock = xasprintf("%s/hv.sock", dir);
	g.loop = loop_new();
	int ls = mkdir_p(dir, 0700) == 0 ? hvserver_listen(sock, &err) : -1;
	if (g.disk_fd < 0 || ls < 0 || !(g.srv = hvserver_new(g.loop, ls, &ops, NULL, &err)) ||
	    loop_add_signals(g.loop, sigs, on_term, NULL) < 0 || pthread_create(&g.thread, NULL, guest_main, NULL)) {
		log_error("%s", err.text);
		return 1;
	}
	g.state = g.incoming ? HV_DOM_INCOMING : HV_DOM_SUSPENDED;
	if (!g.incoming) {
		g.generation = lease_read().generation + 1;
		lease_write(g.generation, g.host);
		guest_go();
	}
	say_ready(ready, "ok\n");
	if (g.incoming && getenv("FAKE_LATE_S")) /* its first answer takes as long */
		sleep((unsigned)atoi(getenv("FAKE_LATE_S")));
	int rc = loop_run(g.loop);
	unlink(sock);
	_exit(rc);
}
