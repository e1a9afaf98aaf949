/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio console (virtio 1.2, 5.3) with one port: hvc0... Output goes to a log file, to the attached client and to a ring of
 * the last 16 KiB, which a new client sees first. Nobody who reads slowly or not at all stops the guest: output is dropped.
 * The guest agent's channel (docs/wire/agent.md) is a console too, without log and history, but with a heartbeat.
 * The port of the guest's own agent (qemu-guest-agent) has none of the three.
 * Where the device model is another's (QEMU), the guest's side is no pair of rings but a line: a stream socket to it.
 * Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"
#include "common/pathopen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/boundlog.h"
#include "common/util.h"
#include "hypervisor/dev/beat.h"

#define RX              0u
#define TX              1u
#define HISTORY_BYTES   (16u * 1024)
#define RUN_BUDGET      64 /* chains per turn */
#define INPUT_SAVED_MAX 4096u

struct vconsole {
	struct vdev v;
	bool agent; /* no log, no history */
	bool port;  /* neither, nor a heartbeat */
	struct boundlog log, file;
	int client; /* owned, -1: none */
	struct loop_fd *client_src;
	bool client_watched; /* polled for input */
	int line;            /* owned, -1: rings */
	struct loop_fd *line_src;
	char history[HISTORY_BYTES];
	uint64_t written; /* octets that ever went into the history */
	char *input;      /* restored input that the guest has not got yet; owned */
	size_t input_len;
	struct beat beat; /* agent only, as the timer */
	struct loop_timer *beat_timer;
	struct vq_elem e;
};

static void client_close(struct vconsole *c)
{
	loop_del_fd(c->client_src);
	c->client_src = NULL;
	if (c->client >= 0)
		close(c->client);
	c->client = -1;
}

static void client_watch(struct vconsole *c, bool on)
{
	if (c->client_src && c->client_watched != on) {
		loop_mod_fd(c->client_src, on ? EPOLLIN : 0);
		c->client_watched = on;
	}
}

/* Output -------------------------------------------------------------------------------------------------------------- */

static void history_add(struct vconsole *c, const char *p, size_t len)
{
	if (len > HISTORY_BYTES) {
		c->written += len - HISTORY_BYTES;
		p += len - HISTORY_BYTES;
		len = HISTORY_BYTES;
	}
	size_t at = c->written % HISTORY_BYTES;
	size_t first = len < HISTORY_BYTES - at ? len : HISTORY_BYTES - at;
	memcpy(c->history + at, p, first);
	memcpy(c->history, p + first, len - first);
	c->written += len;
}

static void beat_arm(struct vconsole *c)
{
	if (c->agent)
		loop_timer_at(c->beat_timer, beat_due_ns(&c->beat));
}

static void output(struct vconsole *c, const struct iovec *iov, unsigned n, uint64_t bytes)
{
	uint64_t due = beat_due_ns(&c->beat);
	char buf[4096];

	for (uint64_t at = 0; at < bytes;) {
		size_t k = vq_copy_from(iov, n, at, buf, sizeof(buf));
		if (!k)
			break;
		at += k;
		if (c->agent)
			beat_heard(&c->beat, buf, k, now_ns());
		else if (!c->port)
			history_add(c, buf, k);
		/* a full disk loses log text, it does not stop the guest */
		if (boundlog_put(&c->log, buf, k) < 0)
			c->v.st.errors++;
		if (boundlog_put(&c->file, buf, k) < 0)
			c->v.st.errors++;
		if (c->client >= 0 && send(c->client, buf, k, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)k)
			c->v.st.drops++;
	}
	/* not for other words: a timer that is armed in every round never runs */
	if (beat_due_ns(&c->beat) != due)
		beat_arm(c);
}

static void tx_run(struct vconsole *c)
{
	struct vq *q = &c->v.vq[TX];
	int n;

	for (n = 0; n < RUN_BUDGET && vq_pop(q, &c->e) > 0; n++) {
		/* at most a page is ever meant; a hostile chain may be gigabytes */
		uint64_t bytes = c->e.out_bytes < 65536 ? c->e.out_bytes : 65536;
		output(c, c->e.iov, c->e.n_out, bytes);
		c->v.st.wr_ops++;
		c->v.st.wr_bytes += bytes;
		vq_push(q, c->e.head, 0);
	}
	vdev_flush(&c->v, TX);
	if (n == RUN_BUDGET)
		vdev_again(&c->v, TX);
}

static void line_read(struct vconsole *c);

static void tell(const struct devs_events *ev, enum beat_news news)
{
	if (news == BEAT_QUIET && ev->quiet)
		ev->quiet(ev->arg);
	if (news == BEAT_SILENT && ev->silent)
		ev->silent(ev->arg);
}

/* A device that the guest broke is silent too: what it scribbled over its rings is a hang like others. */
static void on_beat(void *arg)
{
	struct vconsole *c = arg;

	/* what it said and we have not read yet counts */
	line_read(c);
	vdev_again(&c->v, TX);
	vdev_run_pending(&c->v);
	if (c->v.devs->quiesced)
		beat_anew(&c->beat, now_ns());
	else
		tell(&c->v.devs->ev, beat_tick(&c->beat, now_ns()));
	beat_arm(c);
}

/* Input --------------------------------------------------------------------------------------------------------------- */

/* Octets read into the chain, 0: nothing now, or -errno when the client is gone. */
static ssize_t rx_read(struct vconsole *c)
{
	struct iovec *iov = c->e.iov + c->e.n_out;

	if (c->input_len) {
		size_t k = vq_copy_to(&c->v.vq[RX], iov, c->e.n_in, 0, c->input, c->input_len);
		memmove(c->input, c->input + k, c->input_len - k);
		c->input_len -= k;
		return (ssize_t)k;
	}
	if (c->client < 0)
		return 0;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = c->e.n_in };
	ssize_t r = recvmsg(c->client, &mh, MSG_DONTWAIT);
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!r)
		return -ECONNRESET;
	vq_mark(&c->v.vq[RX], iov, c->e.n_in, (uint64_t)r);
	return r;
}

static void rx_pump(struct vconsole *c)
{
	struct vq *q = &c->v.vq[RX];
	bool starved = false;

	for (int n = 0; n < RUN_BUDGET; n++) {
		if (vq_pop(q, &c->e) <= 0) {
			starved = true;
			break;
		}
		ssize_t r = c->e.n_in ? rx_read(c) : 0;
		if (r <= 0) {
			vq_unpop(q, 1);
			if (r < 0)
				client_close(c);
			break;
		}
		c->v.st.rd_ops++;
		c->v.st.rd_bytes += (uint64_t)r;
		vq_push(q, c->e.head, (uint32_t)r);
	}
	vdev_flush(&c->v, RX);
	/* without buffers the client's input waits in its socket */
	client_watch(c, !starved);
}

static void line_write(struct vconsole *c);

static void on_client(void *arg, int fd, uint32_t events)
{
	struct vconsole *c = arg;
	(void)fd;

	if (c->line >= 0) {
		line_write(c);
		return;
	}
	if (c->v.running && vq_ready(&c->v.vq[RX]) && c->client_watched) {
		vdev_again(&c->v, RX);
		vdev_run_pending(&c->v);
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR)) {
		/* what it typed before it left is still to be read, when the guest has room: then its end is seen too */
		loop_del_fd(c->client_src);
		c->client_src = NULL;
	}
}

/* Line ---------------------------------------------------------------------------------------------------------------- */

static void line_close(struct vconsole *c)
{
	loop_del_fd(c->line_src);
	c->line_src = NULL;
	if (c->line >= 0)
		close(c->line);
	c->line = -1;
}

/* Also while quiesced: it touches nothing of the guest's. */
static void line_read(struct vconsole *c)
{
	char buf[4096];

	for (int i = 0; i < RUN_BUDGET && c->line >= 0; i++) {
		ssize_t n = recv(c->line, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			line_close(c);
			return;
		}
		struct iovec iov = { .iov_base = buf, .iov_len = (size_t)n };
		output(c, &iov, 1, (uint64_t)n);
		c->v.st.wr_ops++;
		c->v.st.wr_bytes += (uint64_t)n;
	}
}

/* What was typed, as far as the line takes it; the rest waits in c->input, and what comes after it in the client's socket. */
static void line_write(struct vconsole *c)
{
	while (c->line >= 0 && !c->v.devs->quiesced) {
		ssize_t n = 0;
		if (!c->input_len && c->client >= 0)
			n = recv(c->client, c->input, INPUT_SAVED_MAX, MSG_DONTWAIT);
		if (n > 0)
			c->input_len = (size_t)n;
		else if (!c->input_len && c->client >= 0 && (!n || (errno != EAGAIN && errno != EINTR)))
			client_close(c);
		if (!c->input_len)
			break;
		n = send(c->line, c->input, c->input_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		c->v.st.rd_ops++;
		c->v.st.rd_bytes += (uint64_t)n;
		c->input_len -= (size_t)n;
		memmove(c->input, c->input + n, c->input_len);
	}
	bool full = c->input_len && !c->v.devs->quiesced;
	if (c->line_src)
		loop_mod_fd(c->line_src, full ? EPOLLIN | EPOLLOUT : EPOLLIN);
	client_watch(c, c->line >= 0 && !full && !c->v.devs->quiesced);
}

static void on_line(void *arg, int fd, uint32_t events)
{
	struct vconsole *c = arg;
	(void)fd;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		line_read(c);
	if (events & EPOLLOUT)
		line_write(c);
}

static int vconsole_line(struct vdev *v, int fd, struct err *err)
{
	struct vconsole *c = (struct vconsole *)v;

	line_close(c);
	c->line = fd;
	c->line_src = loop_add_fd(v->devs->loop, fd, EPOLLIN, on_line, c);
	if (!c->line_src)
		return err_sys(err, ENOMEM, "console %s", v->name);
	vconsole_beat_anew(v);
	line_write(c);
	return 0;
}

/* The devices stand still, or go on. */
static void vconsole_pause(struct vdev *v, bool on)
{
	struct vconsole *c = (struct vconsole *)v;

	if (c->line < 0)
		return;
	if (!on)
		vconsole_beat_anew(v);
	line_write(c);
}

/* Ops ----------------------------------------------------------------------------------------------------------------- */

static void vconsole_run(struct vdev *v, unsigned q)
{
	if (q == TX)
		tx_run((struct vconsole *)v);
	else
		rx_pump((struct vconsole *)v);
}

static void vconsole_start(struct vdev *v)
{
	struct vconsole *c = (struct vconsole *)v;

	vconsole_beat_anew(v);
	if (vq_ready(&v->vq[RX])) {
		client_watch(c, true);
		vdev_again(v, RX);
	}
}

static void vconsole_stop(struct vdev *v)
{
	client_watch((struct vconsole *)v, false);
}

static void vconsole_acked(struct vdev *v)
{
	(void)v;
}
static void vconsole_reset(struct vdev *v)
{
	struct vconsole *c = (struct vconsole *)v;

	c->beat = (struct beat){ 0 };
	beat_arm(c);
}
static void vconsole_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	(void)v, (void)offset, (void)p, (void)len; /* emergency write is not offered */
}

/* State: what a client typed and the guest has not read moves along. The text stays in the socket for a resume here. */
static void vconsole_save(struct vdev *v, struct buf *out)
{
	struct vconsole *c = (struct vconsole *)v;
	char typed[INPUT_SAVED_MAX];
	ssize_t n = 0;

	line_read(c);
	if (c->client >= 0)
		n = recv(c->client, typed, sizeof(typed), MSG_DONTWAIT | MSG_PEEK);
	if (n < 0)
		n = 0;
	if (c->input_len + (size_t)n > INPUT_SAVED_MAX)
		n = (ssize_t)(INPUT_SAVED_MAX - c->input_len);
	buf_put_u32(out, (uint32_t)(c->input_len + (size_t)n));
	buf_put(out, c->input, c->input_len);
	buf_put(out, typed, (size_t)n);
	size_t kept = c->written < HISTORY_BYTES ? (size_t)c->written : HISTORY_BYTES;
	size_t at = c->written % HISTORY_BYTES;
	buf_put_u32(out, (uint32_t)kept);
	if (kept == HISTORY_BYTES)
		buf_put(out, c->history + at, HISTORY_BYTES - at);
	buf_put(out, c->history, at);
	if (!c->agent)
		return;
	buf_put_u16(out, (uint16_t)c->beat.period_s);
	buf_put_u8(out, (uint8_t)c->beat.line_len);
	buf_put(out, c->beat.line, c->beat.line_len <= BEAT_LINE_MAX ? c->beat.line_len : 0);
}

/* What older versions do not have: then it is not armed. */
static bool load_beat(struct beat *b, struct rd *in)
{
	*b = (struct beat){ 0 };
	if (!in->left)
		return true;
	b->period_s = rd_u16(in);
	b->line_len = rd_u8(in);
	size_t n = b->line_len <= BEAT_LINE_MAX ? b->line_len : 0;
	const void *line = rd_bytes(in, n);
	if (!line || b->line_len > BEAT_LINE_MAX + 1 || (b->period_s && b->period_s < BEAT_MIN_S) ||
	    b->period_s > BEAT_MAX_S)
		return false;
	memcpy(b->line, line, n);
	return true;
}

static int vconsole_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct vconsole *c = (struct vconsole *)v;
	uint32_t n = rd_u32(in);
	const void *typed = n <= INPUT_SAVED_MAX ? rd_bytes(in, n) : NULL;
	uint32_t kept = typed ? rd_u32(in) : 0;
	const void *history = typed && kept <= HISTORY_BYTES ? rd_bytes(in, kept) : NULL;

	if (!history || in->bad)
		return err_set(err, EINVAL, "saved state of device %s: console texts are too long or end early",
		               v->name);
	struct beat beat = { 0 };
	if (c->agent && !load_beat(&beat, in))
		return err_set(err, EINVAL, "saved state of device %s: an impossible heartbeat", v->name);
	if (!commit)
		return 0;
	c->beat = beat;
	vconsole_beat_anew(v);
	memcpy(c->input, typed, n);
	c->input_len = n;
	c->written = 0;
	history_add(c, history, kept);
	return 0;
}

static void vconsole_free(struct vdev *v)
{
	struct vconsole *c = (struct vconsole *)v;

	client_close(c);
	line_close(c);
	boundlog_done(&c->log);
	boundlog_done(&c->file);
	loop_del_timer(c->beat_timer);
	free(c->input);
	free(c);
}

static int vconsole_attach(struct vdev *v, int fd, bool take, struct err *err)
{
	struct vconsole *c = (struct vconsole *)v;

	if (c->client >= 0) {
		char x;
		bool alive = recv(c->client, &x, 1, MSG_DONTWAIT | MSG_PEEK) != 0;
		if (alive && !take)
			return err_set(err, EBUSY, "console %s has a client already; take it over with --force",
			               v->name);
		client_close(c);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	struct loop_fd *src = loop_add_fd(v->devs->loop, fd, 0, on_client, c);
	if (!src)
		return err_sys(err, ENOMEM, "console %s", v->name);
	c->client = fd;
	c->client_src = src;
	c->client_watched = false;
	size_t at = c->written % HISTORY_BYTES;
	if (c->written >= HISTORY_BYTES)
		(void)!send(fd, c->history + at, HISTORY_BYTES - at, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)!send(fd, c->history, at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (v->running) {
		vdev_again(v, RX);
		vdev_run_pending(v);
	}
	if (c->line >= 0)
		line_write(c);
	return 0;
}

static const struct vdev_console_ops vconsole_console = {
	.attach = vconsole_attach,
	.line = vconsole_line,
	.pause = vconsole_pause,
};

static const struct vdev_ops vconsole_ops = {
	.virtio_id = 3,
	.acked = vconsole_acked,
	.start = vconsole_start,
	.stop = vconsole_stop,
	.run = vconsole_run,
	.config_set = vconsole_config_set,
	.reset = vconsole_reset,
	.save = vconsole_save,
	.load = vconsole_load,
	.free = vconsole_free,
	.console = &vconsole_console,
};

/* The file, and the one that its past goes to. */
static int open_append(const struct path_rules *paths, const char *path, const char *name, struct boundlog *ret,
                       struct err *err)
{
	_cleanup_free_ char *what = xasprintf("console %s", name);
	int fd = path_open(paths, PATH_OUTPUT, path, O_RDWR | O_APPEND | O_CREAT, what, err);

	if (fd < 0)
		return fd;
	_cleanup_free_ char *past = xasprintf("%s.1", path);
	int old = path_open(paths, PATH_OUTPUT, past, O_WRONLY | O_CREAT, what, err);
	boundlog_init(ret, fd, old, BOUNDLOG_PIECE);
	return old < 0 ? old : 0;
}

static int open_files(struct vconsole *c, const struct dom_char *cfg, unsigned index, struct err *err)
{
	_cleanup_free_ char *dflt = NULL;

	if (c->agent || c->port)
		return 0;
	const char *log = cfg->log;
	if (!log && index == 0) {
		int r = mkdir_p(path_log(), 0750);
		if (r < 0)
			return err_sys(err, -r, "console %s: cannot make the folder %s", c->v.name, path_log());
		log = dflt = xasprintf("%s/%s-console.log", path_log(), c->v.devs->cfg->name);
	}
	int r = log ? open_append(c->v.devs->cfg->paths, log, c->v.name, &c->log, err) : 0;
	if (!r && cfg->type == DOM_CHAR_FILE && cfg->path)
		r = open_append(c->v.devs->cfg->paths, cfg->path, c->v.name, &c->file, err);
	return r;
}

int vconsole_new(struct devs *d, const struct dom_char *cfg, unsigned index, struct vdev **ret, struct err *err)
{
	struct vconsole *c = calloc(1, sizeof(*c));
	char name[16];

	if (!c)
		return err_sys(err, ENOMEM, "console hvc%u", index);
	boundlog_init(&c->log, -1, -1, BOUNDLOG_PIECE);
	boundlog_init(&c->file, -1, -1, BOUNDLOG_PIECE);
	c->client = c->line = -1;
	c->port = index == DEVS_AGENT_PORT(d->cfg);
	c->agent = !cfg && !c->port;
	snprintf(name, sizeof(name), "hvc%u", index);
	vdev_setup(&c->v, d, &vconsole_ops, name, 2, 0);
	c->v.config_len = 12; /* cols, rows, max_nr_ports, emerg_wr: none is negotiated */
	c->input = malloc(INPUT_SAVED_MAX);
	if (c->agent)
		c->beat_timer = loop_add_timer(d->loop, on_beat, c);
	bool ok = c->input && (c->beat_timer || !c->agent);
	int r = ok ? open_files(c, cfg, index, err) : err_sys(err, ENOMEM, "console %s", name);
	if (r < 0) {
		vconsole_free(&c->v);
		return r;
	}
	*ret = &c->v;
	return 0;
}

void vconsole_beat_anew(struct vdev *v)
{
	struct vconsole *c = (struct vconsole *)v;

	beat_anew(&c->beat, now_ns());
	beat_arm(c);
}

bool vconsole_silent(struct vdev *v)
{
	line_read((struct vconsole *)v);
	vdev_again(v, TX);
	vdev_run_pending(v);
	return ((const struct vconsole *)v)->beat.told;
}

void vconsole_beat_give_back(struct vdev *v, uint64_t ns)
{
	struct vconsole *c = (struct vconsole *)v;

	beat_give_back(&c->beat, ns, now_ns());
	beat_arm(c);
}

uint64_t vconsole_heard_ns(const struct vdev *v)
{
	return ((const struct vconsole *)v)->beat.heard_ns;
}

unsigned vconsole_beat(const struct vdev *v)
{
	return ((const struct vconsole *)v)->beat.period_s;
}
