/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers: see worker.h. A request is a memory file that goes over a socket pair, a reply one packet. Loop's thread. */
#include "config.h"
#include "common/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define IDLE_NS (60 * NS_PER_S) /* a helper without work ends after that */

struct work {
	struct work *next;
	struct workers *ws;
	enum work_kind kind;
	int req;            /* a memory file: the request, then what the helper looks at */
	size_t len;         /* of the request */
	uint64_t until_ns;  /* UINT64_MAX: no limit while it waits */
	work_done_fn *done; /* NULL: dropped */
	void *arg;
	bool waits; /* in a queue */
};

struct worker {
	struct worker *next;
	struct workers *ws;
	int pidfd, sock; /* sock -1: killed */
	struct loop_fd *src, *end_src;
	struct work *work; /* NULL: idle */
	uint64_t until_ns; /* of its work, or of its idleness */
};

struct workers {
	struct loop *loop;
	unsigned max, live, hung; /* live: not killed */
	uint64_t timeout_ns;
	struct worker *list;
	struct work *queue[WORK_KINDS], **queue_end[WORK_KINDS];
	unsigned busy[WORK_KINDS];
	bool turn; /* of the slow ones */
	struct loop_timer *timer;
};

static void go_on(struct workers *ws);

/* Requests ------------------------------------------------------------------------------------------------------------- */

static void work_free(struct work *w)
{
	if (w->req >= 0)
		close(w->req);
	free(w);
}

/* Over: told, and gone. */
static void finish(struct work *w, int status, const uint8_t *reply, size_t len)
{
	work_done_fn *done = w->done;
	void *arg = w->arg;

	work_free(w);
	if (done)
		done(arg, status, reply, len);
}

/* No answer in time; what it looked at stands behind the request. */
static void tell_late(struct work *w)
{
	uint8_t what[WORKER_AT_MAX + 1] = { 0 };
	ssize_t n = pread(w->req, what, WORKER_AT_MAX, (off_t)w->len);

	finish(w, -ETIMEDOUT, n > 0 ? what : NULL, n > 0 ? (size_t)n : 0);
}

static void unqueue(struct work *w)
{
	struct workers *ws = w->ws;

	for (struct work **p = &ws->queue[w->kind]; *p; p = &(*p)->next) {
		if (*p != w)
			continue;
		*p = w->next;
		if (!*p)
			ws->queue_end[w->kind] = p;
		w->waits = false;
		return;
	}
}

void work_drop(struct work *w)
{
	if (!w)
		return;
	w->done = NULL;
	if (w->waits) {
		unqueue(w);
		work_free(w);
	}
}

/* Helpers -------------------------------------------------------------------------------------------------------------- */

static void worker_free(struct worker *k)
{
	for (struct worker **p = &k->ws->list; *p; p = &(*p)->next) {
		if (*p == k) {
			*p = k->next;
			break;
		}
	}
	loop_del_fd(k->src);
	loop_del_fd(k->end_src);
	if (k->sock >= 0)
		close(k->sock);
	close(k->pidfd);
	free(k);
}

/* It ended: killed, or by itself. */
static void on_end(void *arg, int fd, uint32_t revents)
{
	struct worker *k = arg;
	struct workers *ws = k->ws;
	struct work *w = k->work;
	siginfo_t si;

	(void)revents;
	waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG); /* somebody else may have seen to it */
	if (k->sock < 0) {
		ws->hung--;
	} else {
		ws->live--;
		if (w)
			ws->busy[w->kind]--;
	}
	worker_free(k);
	if (w)
		finish(w, -ECONNRESET, NULL, 0);
	go_on(ws);
}

static void kill_it(struct worker *k)
{
	pidfd_send_signal(k->pidfd, SIGKILL, NULL, 0);
	loop_del_fd(k->src);
	k->src = NULL;
	close(k->sock);
	k->sock = -1;
	k->ws->live--;
	k->ws->hung++;
}

static void on_reply(void *arg, int fd, uint32_t revents)
{
	struct worker *k = arg;
	struct workers *ws = k->ws;
	struct work *w = k->work;
	_cleanup_free_ uint8_t *reply = malloc(WORKER_REPLY_MAX);
	ssize_t n = reply ? recv(fd, reply, WORKER_REPLY_MAX, MSG_DONTWAIT) : -1;

	(void)revents;
	if (reply && n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !w) { /* the end of its process tells the rest */
		loop_del_fd(k->src);
		k->src = NULL;
		pidfd_send_signal(k->pidfd, SIGKILL, NULL, 0);
		return;
	}
	k->work = NULL;
	k->until_ns = now_ns() + IDLE_NS;
	ws->busy[w->kind]--;
	if (ws->live > ws->max)
		kill_it(k);
	finish(w, 0, reply, (size_t)n);
	go_on(ws);
}

static void __attribute__((noreturn)) become_helper(int sock)
{
	signals_reset();
	if (dup2(sock, STDIN_FILENO) < 0)
		_exit(126);
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	(void)execl("/proc/self/exe", "hospes-helper", WORKER_ARG, (char *)NULL);
	_exit(126);
}

/* A new one, idle. NULL: errno. */
static struct worker *start(struct workers *ws)
{
	struct worker *k = calloc(1, sizeof(*k));
	int sv[2];
	pid_t pid;

	if (!k)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
		free(k);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		become_helper(sv[1]);
	close(sv[1]);
	k->ws = ws;
	k->sock = sv[0];
	k->pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	if (k->pidfd >= 0) {
		k->src = loop_add_fd(ws->loop, k->sock, EPOLLIN, on_reply, k);
		k->end_src = loop_add_fd(ws->loop, k->pidfd, EPOLLIN, on_end, k);
	}
	if (!k->src || !k->end_src) { /* without its socket it ends */
		int e = errno;

		loop_del_fd(k->src);
		loop_del_fd(k->end_src);
		if (k->pidfd >= 0)
			close(k->pidfd);
		close(k->sock);
		free(k);
		errno = e ? e : ENOMEM;
		return NULL;
	}
	k->next = ws->list;
	ws->list = k;
	ws->live++;
	return k;
}

static struct worker *idle_one(struct workers *ws)
{
	for (struct worker *k = ws->list; k; k = k->next)
		if (k->sock >= 0 && k->src && !k->work)
			return k;
	return NULL;
}

/* Who is next, if there is room for it. */
static struct work *next_work(struct workers *ws)
{
	unsigned all = ws->busy[WORK_URGENT] + ws->busy[WORK_NORMAL] + ws->busy[WORK_SLOW];
	struct work *urgent = ws->queue[WORK_URGENT], *normal = ws->queue[WORK_NORMAL],
		    *slow = ws->busy[WORK_SLOW] ? NULL : ws->queue[WORK_SLOW];

	if (urgent)
		return all < ws->max + WORKER_URGENT_MORE ? urgent : NULL;
	if (all >= ws->max)
		return NULL;
	ws->turn = !ws->turn;
	return slow && (ws->turn || !normal) ? slow : normal;
}

static void hand_over(struct worker *k, struct work *w)
{
	struct workers *ws = k->ws;
	char c = 0;

	unqueue(w);
	if (sock_send_fds(k->sock, &c, 1, &w->req, 1) < 0)
		pidfd_send_signal(k->pidfd, SIGKILL, NULL, 0); /* its end is told */
	k->work = w;
	k->until_ns = now_ns() + ws->timeout_ns;
	ws->busy[w->kind]++;
}

static void set_timer(struct workers *ws)
{
	uint64_t at = UINT64_MAX;

	for (const struct worker *k = ws->list; k; k = k->next)
		if (k->sock >= 0 && k->until_ns < at)
			at = k->until_ns;
	for (const struct work *w = ws->queue[WORK_URGENT]; w; w = w->next)
		if (w->until_ns < at)
			at = w->until_ns;
	loop_timer_at(ws->timer, at);
}

static void go_on(struct workers *ws)
{
	struct work *w;

	while ((w = next_work(ws))) {
		struct worker *k = idle_one(ws);

		if (!k && ws->hung >= WORKER_HUNG_MAX)
			break;
		if (!k)
			k = start(ws);
		if (!k) {
			int e = errno;

			unqueue(w);
			finish(w, -(e ? e : ENOMEM), NULL, 0);
			continue;
		}
		hand_over(k, w);
	}
	set_timer(ws);
}

/* The first whose time is over; there may be more. */
static bool time_over(struct workers *ws, uint64_t now)
{
	for (struct worker *k = ws->list; k; k = k->next) {
		struct work *w = k->work;

		if (k->sock < 0 || now < k->until_ns)
			continue;
		k->work = NULL;
		kill_it(k);
		if (w) {
			ws->busy[w->kind]--;
			tell_late(w);
		}
		return true;
	}
	for (struct work *w = ws->queue[WORK_URGENT]; w; w = w->next) {
		if (now < w->until_ns)
			continue;
		unqueue(w);
		finish(w, -ETIMEDOUT, NULL, 0);
		return true;
	}
	return false;
}

static void on_timer(void *arg)
{
	struct workers *ws = arg;

	while (time_over(ws, now_ns()))
		;
	go_on(ws);
}

struct work *workers_ask(struct workers *ws, enum work_kind kind, const void *req, size_t len, work_done_fn *done,
                         void *arg)
{
	struct work *w = len <= WORKER_REQUEST_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	*w = (struct work){
		.ws = ws, .kind = kind, .done = done, .arg = arg, .len = len, .until_ns = UINT64_MAX, .waits = true
	};
	w->req = memfd_create("request", MFD_CLOEXEC);
	if (w->req < 0 || write_full(w->req, req, len) < 0) {
		work_free(w);
		return NULL;
	}
	if (kind == WORK_URGENT)
		w->until_ns = now_ns() + 2 * ws->timeout_ns;
	*ws->queue_end[kind] = w;
	ws->queue_end[kind] = &w->next;
	loop_timer_in(ws->timer, 0); /* not from here: done() comes from the loop */
	return w;
}

unsigned workers_hung(const struct workers *ws)
{
	return ws->hung;
}

struct workers *workers_new(struct loop *loop, unsigned max, uint64_t timeout_ns)
{
	struct workers *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->loop = loop, ws->max = max, ws->timeout_ns = timeout_ns;
	for (int i = 0; i < WORK_KINDS; i++)
		ws->queue_end[i] = &ws->queue[i];
	ws->timer = loop_add_timer(loop, on_timer, ws);
	if (!ws->timer) {
		free(ws);
		return NULL;
	}
	return ws;
}

void workers_free(struct workers *ws)
{
	if (!ws)
		return;
	while (ws->list) {
		struct worker *k = ws->list;

		if (k->work)
			work_free(k->work);
		pidfd_send_signal(k->pidfd, SIGKILL, NULL, 0);
		worker_free(k);
	}
	for (int i = 0; i < WORK_KINDS; i++) {
		while (ws->queue[i]) {
			struct work *w = ws->queue[i];

			ws->queue[i] = w->next;
			work_free(w);
		}
	}
	loop_del_timer(ws->timer);
	free(ws);
}

/* The other side ------------------------------------------------------------------------------------------------------- */

static int take_request(int req, struct buf *b)
{
	struct stat st;
	uint8_t *p;

	if (fstat(req, &st) < 0 || st.st_size < 0 || st.st_size > (off_t)WORKER_REQUEST_MAX)
		return -EINVAL;
	p = buf_reserve(b, (size_t)st.st_size + 1);
	if (!p || pread(req, p, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return -EIO;
	b->len = (size_t)st.st_size;
	return 0;
}

void worker_at(const struct worker_here *here, const char *what)
{
	char text[WORKER_AT_MAX] = "";

	snprintf(text, sizeof(text), "%s", what);
	(void)!pwrite(here->fd, text, sizeof(text), (off_t)here->at);
}

int worker_main(void (*serve)(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "hospes-helper");
	for (;;) {
		_cleanup_buf_ struct buf request = { 0 }, reply = { 0 };
		_cleanup_close_ int req = -1;
		size_t n_fds = 1;
		char c;

		if (sock_recv_fds(STDIN_FILENO, &c, 1, &req, &n_fds) <= 0 || n_fds != 1)
			return 0;
		if (take_request(req, &request) < 0)
			return 1;
		serve(&(struct worker_here){ .fd = req, .at = request.len }, request.data, request.len, &reply);
		if (reply.failed || reply.len > WORKER_REPLY_MAX ||
		    send(STDIN_FILENO, reply.data, reply.len, MSG_NOSIGNAL) < 0)
			return 1;
	}
}
