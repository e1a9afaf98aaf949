/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvtool DOMAIN STEP...: hypercalls from the command line, for tests of what a client may not do. Each step is NAME[:ARG...] and
 * must succeed; NAME...=EBUSY must fail so (=E1|E2: one of them; =?: whatever comes). Steps run on connection @1 until @N chooses
 * another one, which is opened then. Prints what was answered; exits 1 at the first step that went otherwise.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/api/hvmsg.h"
#include "hypervisor/pv/image.h"
#include "hypervisor/stateframe.h"
#include "tests/system/hvevil.h"

#define CONNS 100
#define ARGS  4

static const char *domain;
static struct hvcall conn[CONNS];
static bool is_open[CONNS];
static unsigned cur = 1;
static int ram = -1, bitmap = -1;
static uint64_t ram_bytes, bitmap_bytes;

static struct hvcall *c(struct err *err)
{
	if (!is_open[cur] && hvcall_open(&conn[cur], domain, err))
		return NULL;
	is_open[cur] = true;
	return &conn[cur];
}

static uint64_t num(const char *s)
{
	return s ? strtoull(s, NULL, 0) : 0;
}

static int plain(uint16_t op, const void *req, size_t len, struct err *err)
{
	struct hvcall *h = c(err);

	return h ? hvcall_simple(h, op, req, len, NULL, 0, err) : -err->code;
}

/* Hypercalls without, or with one kind of, argument --------------------------------------------------------------------- */

enum arg_kind { NONE, OWNER, U32, U64, TWO_U32 };

static const struct {
	const char *name;
	uint16_t op;
	enum arg_kind arg;
} calls[] = {
	{ "hello", HV_OP_HELLO, NONE },
	{ "stats", HV_OP_STATS, NONE },
	{ "pause", HV_OP_PAUSE, NONE },
	{ "unpause", HV_OP_UNPAUSE, NONE },
	{ "suspend", HV_OP_SUSPEND, NONE },
	{ "resume", HV_OP_RESUME, NONE },
	{ "logdirty", HV_OP_LOGDIRTY_ENABLE, TWO_U32 },
	{ "peek", HV_OP_LOGDIRTY_PEEK, NONE },
	{ "clean", HV_OP_LOGDIRTY_CLEAN, NONE },
	{ "logdirty-off", HV_OP_LOGDIRTY_DISABLE, NONE },
	{ "audit", HV_OP_AUDIT, NONE },
	{ "throttle", HV_OP_THROTTLE, TWO_U32 },
	{ "balloon", HV_OP_BALLOON, U64 },
	{ "shutdown", HV_OP_SHUTDOWN, NONE },
	{ "reboot", HV_OP_REBOOT, NONE },
	{ "destroy", HV_OP_DESTROY, TWO_U32 },
	{ "subscribe", HV_OP_SUBSCRIBE, NONE },
	{ "console", HV_OP_CONSOLE, TWO_U32 },
	{ "relinquish", HV_OP_RELINQUISH, OWNER },
	{ "reclaim", HV_OP_RECLAIM, OWNER },
	{ "take", HV_OP_TAKE, OWNER },
	{ "announce", HV_OP_ANNOUNCE, NONE },
	{ "dumpxml", HV_OP_DUMPXML, NONE },
	{ "loglevel", HV_OP_LOGLEVEL, U32 },
	{ "memhash", HV_OP_MEMHASH, NONE },
};

static int one_call(size_t i, char **a, struct err *err)
{
	struct hv_owner o = { .generation = num(a[0]) };
	uint32_t two[2] = { (uint32_t)num(a[0]), (uint32_t)num(a[1]) };
	uint64_t one = num(a[0]);

	switch (calls[i].arg) {
	case OWNER:
		memset(o.owner, 0, sizeof(o.owner));
		memcpy(o.owner, a[1] ?: "", strnlen(a[1] ?: "", sizeof(o.owner)));
		return plain(calls[i].op, &o, sizeof(o), err);
	case U32:
		return plain(calls[i].op, two, 4, err);
	case TWO_U32:
		return plain(calls[i].op, two, 8, err);
	case U64:
		return plain(calls[i].op, &one, 8, err);
	default:
		return plain(calls[i].op, NULL, 0, err);
	}
}

/* Steps of their own ------------------------------------------------------------------------------------------------------ */

static int do_close(char **a, struct err *err)
{
	(void)a;
	(void)err;
	if (is_open[cur])
		hvcall_close(&conn[cur]);
	is_open[cur] = false;
	return 0;
}

static int do_sleep(char **a, struct err *err)
{
	(void)err;
	usleep((useconds_t)num(a[0]) * 1000);
	return 0;
}

/* wait until the domain is in that state; a connection of its own, so that asking has no side effect */
static int do_state(char **a, struct err *err)
{
	static const char *const names[] = { "?",        "booting",  "running",  "paused", "suspended", "relinquished",
		                             "incoming", "restored", "shutdown", "crashed" };
	struct hv_info info = { 0 };
	uint64_t end = now_ns() + 5 * NS_PER_S;

	for (;;) {
		struct hvcall h;
		int r = hvcall_open(&h, domain, err);
		if (!r) {
			r = hvcall_simple(&h, HV_OP_INFO, NULL, 0, &info, sizeof(info), err);
			hvcall_close(&h);
		}
		if (!strcmp(a[0], "gone") ? r == -ENOENT || r == -ECONNREFUSED
		                          : !r && info.state < 10 && !strcmp(names[info.state], a[0]))
			return 0;
		if (now_ns() > end)
			return r ? r
			         : err_set(err, ETIME, "it is %s, logdirty %u", names[info.state % 10],
			                   info.logdirty_mode);
		usleep(20000);
	}
}

static int do_logging(char **a, struct err *err)
{
	struct hv_info info;
	struct hvcall *h = c(err);
	int r = h ? hvcall_simple(h, HV_OP_INFO, NULL, 0, &info, sizeof(info), err) : -err->code;

	return r ? r
	       : !!info.logdirty_mode == (num(a[0]) != 0)
	               ? 0
	               : err_set(err, ETIME, "log-dirty mode is %u", info.logdirty_mode);
}

/* fds:N: hvdom has no more than N descriptors more than at the first such step */
static int do_fds(char **a, struct err *err)
{
	static uint64_t before;
	struct hv_info info;
	struct hvcall *h = c(err);
	int r = h ? hvcall_simple(h, HV_OP_INFO, NULL, 0, &info, sizeof(info), err) : -err->code;
	uint64_t n = 0;

	if (r)
		return r;
	_cleanup_free_ char *path = xasprintf("/proc/%d/fd", info.pid);
	DIR *d = opendir(path);
	if (!d)
		return err_sys(err, errno, "%s", path);
	while (readdir(d))
		n++;
	closedir(d);
	if (!before)
		before = n;
	return n <= before + num(a[0])
	               ? 0
	               : err_set(err, EMFILE, "%lu descriptors, %lu before", (unsigned long)n, (unsigned long)before);
}

static int do_lease(char **a, struct err *err)
{
	struct hv_owner o;
	struct hvcall *h = c(err);
	int r = h ? hvcall_simple(h, HV_OP_LEASE, NULL, 0, &o, sizeof(o), err) : -err->code;

	if (!r && (o.generation != num(a[0]) || strcmp(o.owner, a[1] ?: "")))
		r = err_set(err, ETIME, "generation %lu of '%s'", (unsigned long)o.generation, o.owner);
	return r;
}

static int do_map(char **a, struct err *err)
{
	struct hv_map_rep m;
	int fds[HV_REGIONS_MAX + 1];
	size_t n = ARRAY_SIZE(fds), len;
	struct hvcall *h = c(err);
	(void)a;
	int r = h ? hvcall(h, HV_OP_MAP_MEMORY, NULL, 0, NULL, 0, &m, sizeof(m), &len, fds, &n, err) : -err->code;

	if (r)
		return r;
	if (n != 2)
		return err_set(err, EPROTO, "%zu descriptors", n);
	if (ram >= 0) {
		close(ram);
		close(bitmap);
	}
	ram = fds[0];
	bitmap = fds[1];
	ram_bytes = m.region[0].size_bytes;
	bitmap_bytes = m.bitmap_bytes;
	return 0;
}

/* All ways to pull the memory away; the first that works is the answer. */
static int do_tamper(char **a, struct err *err)
{
	const struct {
		int fd;
		uint64_t bytes;
	} t[] = { { ram, ram_bytes }, { bitmap, bitmap_bytes } };
	(void)a;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (ftruncate(t[i].fd, 0) == 0 || ftruncate(t[i].fd, (off_t)t[i].bytes / 2) == 0 ||
		    ftruncate(t[i].fd, (off_t)t[i].bytes * 2) == 0 || fcntl(t[i].fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
			return 0;
	}
	return err_sys(err, errno, "refused");
}

static int copy_data(int from, int to, uint64_t bytes)
{
	static char page[65536];
	off_t at = 0;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0 && (uint64_t)at < bytes) {
		off_t hole = lseek(from, at, SEEK_HOLE);
		while (at < hole) {
			ssize_t n = pread(from, page,
			                  (size_t)(hole - at) < sizeof(page) ? (size_t)(hole - at) : sizeof(page), at);
			if (n <= 0 || pwrite(to, page, (size_t)n, at) != n)
				return -EIO;
			at += n;
		}
	}
	return 0;
}

static int do_savemem(char **a, struct err *err)
{
	_cleanup_close_ int fd = open(a[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)ram_bytes) < 0 || copy_data(ram, fd, ram_bytes))
		return err_sys(err, errno, "%s", a[0]);
	return 0;
}

static int do_loadmem(char **a, struct err *err)
{
	_cleanup_close_ int fd = open(a[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 || copy_data(fd, ram, ram_bytes) ? err_sys(err, errno, "%s", a[0]) : 0;
}

static int do_getstate(char **a, struct err *err)
{
	struct hv_state_rep rep;
	int fd = -1;
	size_t n = 1, len;
	struct hvcall *h = c(err);
	int r = h ? hvcall(h, HV_OP_GET_STATE, NULL, 0, NULL, 0, &rep, sizeof(rep), &len, &fd, &n, err) : -err->code;

	if (r)
		return r;
	_cleanup_close_ int from = fd, to = open(a[0] ?: "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *p = malloc(rep.size_bytes);
	if (!p || lseek(from, 0, SEEK_SET) < 0 || read_full(from, p, rep.size_bytes) ||
	    write_full(to, p, rep.size_bytes))
		r = err_set(err, EIO, "cannot copy the state");
	free(p);
	return r;
}

/* setstate:FILE[:SIZE]: the file itself is handed over; SIZE instead of its real one */
static int do_setstate(char **a, struct err *err)
{
	_cleanup_close_ int fd = open(a[0] ?: "/dev/null", O_RDONLY | O_CLOEXEC);
	struct hv_state_req q = { 0 };
	struct stat st;
	struct hvcall *h = c(err);

	if (!h || fd < 0 || fstat(fd, &st) < 0)
		return h ? err_sys(err, errno, "%s", a[0]) : -err->code;
	q.size_bytes = a[1] ? num(a[1]) : (uint64_t)st.st_size;
	return hvcall(h, HV_OP_SET_STATE, &q, sizeof(q), &fd, 1, NULL, 0, NULL, NULL, NULL, err);
}

/* mangle:FILE:TO:WHAT: a state with one thing made wrong */
static int do_mangle(char **a, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf out = { 0 }, dev_buf = { 0 };
	struct rd dev, engine;
	struct pv_image im;
	size_t len;
	int r = file_read(a[0], 64 << 20, &text, &len);

	if (r || !a[2])
		return err_set(err, EIO, "cannot read");
	r = stateframe_split(text, len, &dev, &engine, err);
	if (!r)
		r = pv_image_decode(&im, &engine, ram_bytes, 32, err);
	if (r)
		return r;
	if (!evil_mangle(&im, a[2]))
		return err_set(err, EINVAL, "unknown");
	buf_put(&dev_buf, dev.p, dev.left);
	stateframe_begin(&out, &dev_buf);
	r = pv_image_encode(&im, &out, err);
	pv_image_done(&im);
	return r ? r : file_write_atomic(a[1], out.data, out.len, 0600);
}

/* op:NUMBER[:HEX[:DESCRIPTORS]] */
static int do_op(char **a, struct err *err)
{
	uint8_t req[256];
	size_t n = 0;
	int fds[16];
	size_t n_fds = num(a[2]);
	struct hvcall *h = c(err);

	if (!h)
		return -err->code;
	for (const char *p = a[1] ?: ""; p[0] && p[1] && n < sizeof(req); p += 2) {
		unsigned v = 0;
		sscanf(p, "%2x", &v);
		req[n++] = (uint8_t)v;
	}
	for (size_t i = 0; i < n_fds && i < 16; i++)
		fds[i] = 0;
	return hvcall(h, (uint16_t)num(a[0]), req, n, fds, n_fds, NULL, 0, NULL, NULL, NULL, err);
}

static int log_call(uint16_t op, struct hv_logdirty_rep *ret, struct err *err)
{
	struct hvcall *h = c(err);

	return h ? hvcall_simple(h, op, NULL, 0, ret, sizeof(*ret), err) : -err->code;
}

/*
 * rounds:N:MS: with log-dirty on, N times: a collection while the guest runs, MS later one while it stands still, and the audit, which may find
 * nothing. At the end an audit without a collection before, which must find something.
 */
static int do_rounds(char **a, struct err *err)
{
	uint64_t n = num(a[0]), live = 0, last = 0;
	struct hv_logdirty_rep rep = { 0 };
	int r = 0;

	for (uint64_t i = 0; i <= n && !r; i++) {
		r = i < n ? log_call(HV_OP_LOGDIRTY_CLEAN, &rep, err) : 0;
		live += rep.dirty_pages;
		usleep((useconds_t)num(a[1]) * 1000);
		r = r ?: plain(HV_OP_SUSPEND, NULL, 0, err);
		if (i < n)
			r = r ?: log_call(HV_OP_LOGDIRTY_CLEAN, &rep, err);
		last += rep.dirty_pages;
		r = r ?: log_call(HV_OP_AUDIT, &rep, err);
		if (!r && (rep.dirty_pages != 0) != (i == n))
			r = err_set(err, EBADMSG, "round %lu of %lu: the audit finds %lu pages", (unsigned long)i,
			            (unsigned long)n, (unsigned long)rep.dirty_pages);
		r = r ?: plain(HV_OP_RESUME, NULL, 0, err);
	}
	if (!r)
		printf("  mode %u, %lu rounds, %lu pages while it ran, %lu while it stood, by %s\n", rep.mode,
		       (unsigned long)n, (unsigned long)live, (unsigned long)last, hv_logdirty_by(rep.by));
	return r;
}

/* raw:BYTES: that many octets of rubbish as one message; the connection may end by it */
static int do_raw(char **a, struct err *err)
{
	size_t n = num(a[0]);
	char *p = malloc(n + 1);
	struct hvcall *h = c(err);

	if (!h || !p)
		return -EIO;
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 2654435761u >> 24);
	int r = send(h->fd, p, n, MSG_NOSIGNAL) < 0 ? err_sys(err, errno, "send") : 0;
	free(p);
	usleep(10000);
	do_close(NULL, NULL);
	return r;
}

/* flood:N:OP: N requests, no reply is read; then the connection is dropped */
static int do_flood(char **a, struct err *err)
{
	struct hv_msg m = { .magic = HV_MAGIC, .version = HV_VERSION, .op = (uint16_t)num(a[1]) };
	struct hvcall *h = c(err);
	uint64_t n = num(a[0]), sent = 0;

	if (!h)
		return -err->code;
	for (uint64_t i = 0; i < n; i++) {
		m.cookie = i;
		sent += send(h->fd, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(m);
	}
	printf("  %lu of %lu got through\n", (unsigned long)sent, (unsigned long)n);
	return do_close(NULL, NULL);
}

/* conns:N: that many more connections, open until the end; the last ones may be refused */
static int do_conns(char **a, struct err *err)
{
	uint64_t n = num(a[0]);
	(void)err;

	for (uint64_t i = 0; i < n; i++) {
		struct hvcall h;
		struct err e;
		if (hvcall_open(&h, domain, &e))
			break; /* kept open on purpose */
	}
	return 0;
}

/* lock:FILE:MS: hold the lock of a disk image, as another program would */
static int do_lock(char **a, struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = open(a[0], O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &fl) < 0)
		return err_sys(err, errno, "%s", a[0]);
	puts("locked");
	fflush(stdout);
	return do_sleep(a + 1, err);
}

/* hijack:PID: a helper of a running guest kernel runs other code from now on */
static int do_hijack(char **a, struct err *err)
{
	int r = evil_hijack((pid_t)num(a[0]));

	return r ? err_sys(err, -r, "hijack") : 0;
}

static const struct {
	const char *name;
	int (*fn)(char **a, struct err *err);
} own[] = {
	{ "close", do_close },       { "sleep", do_sleep },     { "state", do_state },     { "logging", do_logging },
	{ "lease", do_lease },       { "fds", do_fds },         { "mangle", do_mangle },   { "map", do_map },
	{ "tamper", do_tamper },     { "savemem", do_savemem }, { "loadmem", do_loadmem }, { "getstate", do_getstate },
	{ "setstate", do_setstate }, { "op", do_op },           { "raw", do_raw },         { "flood", do_flood },
	{ "conns", do_conns },       { "lock", do_lock },       { "hijack", do_hijack },   { "rounds", do_rounds },
};

static bool as_wanted(int r, const char *want)
{
	char *copy, *save = NULL;
	bool ok = false;

	if (!want)
		return r == 0;
	if (!strcmp(want, "?"))
		return true;
	copy = strdup(want);
	for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save))
		ok |= r ? !strcmp(w, strerrorname_np(-r) ?: "") : !strcmp(w, "ok");
	free(copy);
	return ok;
}

static int step(char *text)
{
	char *a[ARGS + 1] = { NULL }, *want = strchr(text, '='), *save = NULL, shown[200];
	struct err err = { 0 };
	int r = -ENOSYS;
	bool known = false;

	snprintf(shown, sizeof(shown), "%s", text);
	if (want)
		*want++ = 0;
	if (text[0] == '@') {
		cur = (unsigned)num(text + 1) % CONNS;
		return 0;
	}
	char *name = strtok_r(text, ":", &save);
	for (int i = 0; i < ARGS; i++)
		a[i] = strtok_r(NULL, ":", &save);
	for (size_t i = 0; i < ARRAY_SIZE(calls) && !known; i++)
		if ((known = !strcmp(calls[i].name, name)))
			r = one_call(i, a, &err);
	for (size_t i = 0; i < ARRAY_SIZE(own) && !known; i++)
		if ((known = !strcmp(own[i].name, name)))
			r = own[i].fn(a, &err);
	bool ok = known && as_wanted(r, want);
	printf("%s %s: %s%s%s\n", ok ? " " : "WRONG", shown,
	       !known ? "no such step"
	       : r    ? strerrorname_np(-r) ?: "?"
	              : "ok",
	       r ? ", " : "", r ? err.text : "");
	fflush(stdout);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: hvtool DOMAIN STEP...\n", stderr);
		return 2;
	}
	domain = argv[1];
	for (int i = 2; i < argc; i++)
		if (step(argv[i]))
			return 1;
	return 0;
}
