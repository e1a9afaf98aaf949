/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Corosync's libraries on a thread and a loop of their own: see cpg_int.h. Whatever this thread waits for, the daemon's loop goes on.
 * Call-backs run inside *_dispatch() and must not close what is being dispatched, so whatever fails only sets `broken`; the end of the
 * loop's handler acts on it.
 *
 * While Corosync synchronizes a new membership, on a bad link for many seconds, it answers nobody but votequorum's clients: who asks
 * anything else waits for the end of that, and has Corosync spin meanwhile. So nothing is asked then once the connection is made (ADR 56);
 * messages wait in our queue.
 */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "clusterd/io/cpg_int.h"
#include "common/log.h"
#include "common/util.h"

#define GROUP       "hospes"
#define BACKOFF_NS  (200 * NS_PER_MS)
#define BACKOFF_MAX (2 * NS_PER_S)
#define RETRY_NS    (2 * NS_PER_MS)
#define CHECK_NS    NS_PER_S /* two_node and a quorum device are looked for so often: they may come at run time */
#define FRESH_NS    (20 * NS_PER_MS)
#define SILENT_NS   (3 * NS_PER_S)
#define LOST_TEXT   "lost the connection to corosync: is it running? (systemctl status corosync)"

static struct cpg_name group_name(void)
{
	struct cpg_name n = { .length = sizeof(GROUP) - 1 };

	memcpy(n.value, GROUP, sizeof(GROUP));
	return n;
}

static void busy(struct cpgthread *t, bool on)
{
	pthread_mutex_lock(&t->s->lock);
	t->s->busy_ns = on ? now_ns() : 0;
	pthread_mutex_unlock(&t->s->lock);
}

/* Events to the loop's side -------------------------------------------------------------------------------------------- */

static struct cpg_ev *make(struct cpgthread *t, enum cpg_ev_kind kind, const void *p, size_t len)
{
	struct cpg_ev *ev = malloc(sizeof(*ev) + len);

	if (!ev)
		return NULL;
	*ev = (struct cpg_ev){ .kind = kind, .conn = t->conn, .len = len };
	if (len)
		memcpy(ev->data, p, len);
	return ev;
}

static void push(struct cpgthread *t, struct cpg_ev *ev)
{
	struct cpgshared *s = t->s;
	bool pause;

	pthread_mutex_lock(&s->lock);
	*s->ev_end = ev;
	s->ev_end = &ev->next;
	s->ev_bytes += sizeof(*ev) + ev->len;
	pause = s->ev_bytes > CPG_READ_MAX;
	if (pause)
		s->paused = true;
	pthread_mutex_unlock(&s->lock);
	cpgshared_wake(s->to_loop);
	if (pause && t->cpg_src && !t->held) {
		t->held = true;
		loop_mod_fd(t->cpg_src, 0);
	}
}

/* One that is left out would make this node's state another one than the others': better begin anew. */
static struct cpg_ev *push_new(struct cpgthread *t, enum cpg_ev_kind kind, const void *p, size_t len)
{
	struct cpg_ev *ev = t->broken ? NULL : make(t, kind, p, len);

	if (!ev && !t->broken) {
		t->broken = true;
		t->why = "out of memory: leaving the group to begin anew";
		loop_timer_in(t->retry, 0);
	}
	return ev;
}

static void say(struct cpgthread *t, const char *text)
{
	struct cpg_ev *ev;

	if (!strcmp(t->said, text ? text : ""))
		return;
	snprintf(t->said, sizeof(t->said), "%s", text ? text : "");
	ev = make(t, CPG_EV_STATE, text, text ? strlen(text) + 1 : 0);
	if (ev)
		push(t, ev);
}

/* Members and ring come one after the other: told when both are there, before any message of the new view. */
static void tell_view(struct cpgthread *t)
{
	struct cpg_ev *ev;
	bool here = false;

	if (!t->view_changed)
		return;
	t->view_changed = false;
	for (uint32_t i = 0; i < t->n_members; i++)
		here |= t->member[i] == t->cfg.node;
	if (!here || !t->have_ring)
		return;
	ev = push_new(t, CPG_EV_VIEW, t->member, t->n_members * sizeof(t->member[0]));
	if (!ev)
		return;
	ev->ring = t->ring;
	ev->n = t->n_members;
	push(t, ev);
}

/* Call-backs ----------------------------------------------------------------------------------------------------------- */

/* NULL: it has none (any more). */
static struct cpgthread *thread_of(cpg_handle_t h)
{
	void *arg = NULL;

	return cpg_context_get(h, &arg) == CS_OK ? arg : NULL;
}

static void on_confchg(cpg_handle_t h, const struct cpg_name *g, const struct cpg_address *m, size_t n,
                       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined, size_t n_joined)
{
	struct cpgthread *t = thread_of(h);

	(void)g, (void)left, (void)n_left, (void)joined, (void)n_joined;
	if (!t)
		return;
	t->n_members = 0;
	for (size_t i = 0; i < n && t->n_members < CLU_HOSTS_MAX; i++) {
		uint32_t at = t->n_members;

		/* sorted; a daemon that dies and its successor are one node */
		while (at > 0 && t->member[at - 1] > m[i].nodeid)
			at--;
		if (at > 0 && t->member[at - 1] == m[i].nodeid)
			continue;
		memmove(&t->member[at + 1], &t->member[at], (t->n_members - at) * sizeof(t->member[0]));
		t->member[at] = m[i].nodeid;
		t->n_members++;
	}
	t->view_changed = true;
}

static void on_totem(cpg_handle_t h, struct cpg_ring_id ring, uint32_t n, const uint32_t *member)
{
	struct cpgthread *t = thread_of(h);

	(void)n, (void)member;
	if (!t || (t->have_ring && t->ring == ring.seq))
		return;
	t->ring = ring.seq;
	t->have_ring = true;
	t->view_changed = true;
}

static void on_deliver(cpg_handle_t h, const struct cpg_name *g, uint32_t node, uint32_t pid, void *msg, size_t len)
{
	struct cpgthread *t = thread_of(h);
	struct cpg_ev *ev;

	(void)g, (void)pid;
	if (!t || t->broken)
		return;
	tell_view(t);
	ev = push_new(t, CPG_EV_MESSAGE, msg, len);
	if (!ev)
		return;
	ev->node = node;
	push(t, ev);
}

static void on_quorum(votequorum_handle_t h, uint64_t context, uint32_t quorate, uint32_t n, votequorum_node_t list[])
{
	struct cpgthread *t = (struct cpgthread *)(uintptr_t)context;
	struct cpg_ev *ev = push_new(t, CPG_EV_QUORATE, NULL, 0);

	(void)h, (void)n, (void)list;
	if (!ev)
		return;
	ev->n = quorate != 0;
	push(t, ev);
}

static void on_expected(votequorum_handle_t h, uint64_t context, uint32_t expected)
{
	(void)h, (void)context;
	log_debug("corosync expects %u votes", expected);
}

static void on_config_key(cmap_handle_t h, cmap_track_handle_t track, int32_t event, const char *key,
                          struct cmap_notify_value now, struct cmap_notify_value before, void *arg)
{
	struct cpgthread *t = arg;

	(void)h, (void)track, (void)event, (void)key, (void)now, (void)before;
	t->config_changed = true;
}

/* Connections ---------------------------------------------------------------------------------------------------------- */

static void out_done(struct cpgthread *t, struct cpg_out *w)
{
	pthread_mutex_lock(&t->s->lock);
	t->s->out_bytes -= w->len;
	pthread_mutex_unlock(&t->s->lock);
	free(w);
}

static void drop_queue(struct cpgthread *t)
{
	while (t->first) {
		struct cpg_out *w = t->first;

		t->first = w->next;
		out_done(t, w);
	}
	t->last = &t->first;
}

static void disconnect(struct cpgthread *t)
{
	loop_del_fd(t->cpg_src);
	loop_del_fd(t->vq_src);
	loop_del_fd(t->cmap_src);
	t->cpg_src = t->vq_src = t->cmap_src = NULL;
	if (t->joined) /* before what may wait for Corosync */
		push(t, t->down);
	else
		free(t->down);
	t->down = NULL;
	if (t->have_cpg)
		(void)cpg_finalize(t->cpg);
	if (t->have_vq)
		(void)votequorum_finalize(t->vq);
	if (t->have_cmap)
		(void)cmap_finalize(t->cmap);
	t->have_cpg = t->have_vq = t->have_cmap = false;
	t->asking = t->connected = t->joined = t->broken = t->have_ring = t->view_changed = t->config_changed =
		t->held = false;
	t->n_members = 0;
	loop_timer_at(t->retry, UINT64_MAX);
	loop_timer_at(t->check, UINT64_MAX);
	drop_queue(t);
}

static void later(struct cpgthread *t)
{
	t->backoff_ns = t->backoff_ns * 2 > BACKOFF_MAX ? BACKOFF_MAX : t->backoff_ns * 2;
	loop_timer_in(t->again, t->backoff_ns);
}

static void lost(struct cpgthread *t, const char *why)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof(text), "%s", t->why ? t->why : why);
	t->why = NULL;
	say(t, text);
	disconnect(t);
	later(t);
}

/* After each dispatch: what call-backs could not do themselves. */
static void after(struct cpgthread *t, cs_error_t e)
{
	struct cpg_ev *ev;

	if (t->broken || (e != CS_OK && e != CS_ERR_TRY_AGAIN)) {
		lost(t, LOST_TEXT);
		return;
	}
	if (!t->joined)
		return;
	tell_view(t);
	ev = push_new(t, CPG_EV_BATCH_END, NULL, 0);
	if (ev)
		push(t, ev);
}

static void on_cpg(void *arg, int fd, uint32_t revents)
{
	struct cpgthread *t = arg;

	(void)fd, (void)revents;
	busy(t, true);
	after(t, cpg_dispatch(t->cpg, CS_DISPATCH_ALL));
	busy(t, false);
}

static void on_vq(void *arg, int fd, uint32_t revents)
{
	struct cpgthread *t = arg;

	(void)fd, (void)revents;
	busy(t, true);
	after(t, votequorum_dispatch(t->vq, CS_DISPATCH_ALL));
	busy(t, false);
}

static void on_cmap(void *arg, int fd, uint32_t revents)
{
	struct cpgthread *t = arg;

	(void)fd, (void)revents;
	busy(t, true);
	after(t, cmap_dispatch(t->cmap, CS_DISPATCH_ALL));
	busy(t, false);
}

/* The answer comes as an order. */
static void ask(struct cpgthread *t, const struct cpg_config *cfg)
{
	struct cpg_ev *ev = push_new(t, CPG_EV_CONFIG, cfg, sizeof(*cfg));

	if (!ev)
		return;
	t->asked = *cfg;
	t->asking = true;
	push(t, ev);
}

/* @all false: only what votequorum says. */
static void look_at_config(struct cpgthread *t, bool all)
{
	struct cpg_config cfg = t->cfg;
	struct err err = { 0 };
	int r = 0;

	if (all) {
		t->config_changed = false;
		r = cpg_read_config(t, &cfg, &err);
	} else {
		cpg_read_votes(t, &cfg);
	}
	if (r < 0)
		lost(t, err.text);
	else if (memcmp(&cfg, &t->cfg, sizeof(cfg)) != 0)
		ask(t, &cfg);
}

/* Not while messages wait. All is read anew just after one went out, or when nobody sends any. */
static void on_check(void *arg)
{
	struct cpgthread *t = arg;
	uint64_t since = now_ns() - t->flowed_ns;

	loop_timer_in(t->check, CHECK_NS);
	if (t->first || t->asking)
		return;
	busy(t, true);
	look_at_config(t, t->config_changed && (since < FRESH_NS || since > SILENT_NS));
	busy(t, false);
}

static int open_all(struct cpgthread *t, struct err *err)
{
	cpg_model_v1_data_t model;
	votequorum_callbacks_t vq = { .votequorum_quorum_notify_fn = on_quorum,
		                      .votequorum_expectedvotes_notify_fn = on_expected };
	int cpg_fd, vq_fd, cmap_fd;

	memset(&model, 0, sizeof(model));
	model.model = CPG_MODEL_V1;
	model.cpg_deliver_fn = on_deliver;
	model.cpg_confchg_fn = on_confchg;
	model.cpg_totem_confchg_fn = on_totem;
	model.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
	t->conn++;
	t->down = make(t, CPG_EV_DOWN, NULL, 0);
	if (!t->down)
		return err_sys(err, ENOMEM, "connecting to corosync");
	t->have_cmap = cmap_initialize(&t->cmap) == CS_OK;
	t->have_cpg = t->have_cmap &&
	              cpg_model_initialize(&t->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&model, t) == CS_OK;
	t->have_vq = t->have_cpg && votequorum_initialize(&t->vq, &vq) == CS_OK;
	if (!t->have_vq)
		return err_set(err, ENOTCONN, "%s: waiting for it (systemctl start corosync)",
		               t->have_cpg ? "corosync runs without votequorum (quorum.provider in corosync.conf)"
		                           : "corosync does not run or does not admit us");
	if (cpg_fd_get(t->cpg, &cpg_fd) != CS_OK || votequorum_fd_get(t->vq, &vq_fd) != CS_OK ||
	    cmap_fd_get(t->cmap, &cmap_fd) != CS_OK)
		return err_set(err, EIO, "corosync's libraries give no descriptors");
	t->cpg_src = loop_add_fd(t->loop, cpg_fd, EPOLLIN, on_cpg, t);
	t->vq_src = loop_add_fd(t->loop, vq_fd, EPOLLIN, on_vq, t);
	t->cmap_src = loop_add_fd(t->loop, cmap_fd, EPOLLIN, on_cmap, t);
	if (!t->cpg_src || !t->vq_src || !t->cmap_src)
		return err_sys(err, ENOMEM, "watching corosync");
	return 0;
}

static int join(struct cpgthread *t, struct err *err)
{
	static const char *const watched[] = { "nodelist.", "totem.", "runtime.config.totem." };
	struct cpg_ev *up = make(t, CPG_EV_UP, NULL, 0);
	cmap_track_handle_t track;
	struct cpg_name g = group_name();
	cs_error_t e;

	if (!up)
		return err_sys(err, ENOMEM, "joining corosync's group");
	for (unsigned i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		if (cmap_track_add(t->cmap, watched[i],
		                   CMAP_TRACK_ADD | CMAP_TRACK_DELETE | CMAP_TRACK_MODIFY | CMAP_TRACK_PREFIX,
		                   on_config_key, t, &track) != CS_OK) {
			free(up);
			return err_set(err, EIO, "cannot watch corosync's configuration");
		}
	push(t, up);
	t->joined = true; /* call-backs may come at once */
	if (votequorum_trackstart(t->vq, (uint64_t)(uintptr_t)t, CS_TRACK_CURRENT | CS_TRACK_CHANGES) != CS_OK)
		return err_set(err, EIO, "cannot watch corosync's quorum");
	e = cpg_join(t->cpg, &g);
	if (e != CS_OK)
		return err_set(err, EAGAIN, "cannot join corosync's group " GROUP " (error %d): trying again", (int)e);
	return 0;
}

static void on_again(void *arg)
{
	struct cpgthread *t = arg;
	struct cpg_config cfg;
	struct err err = { 0 };
	bool enabled;
	int r;

	pthread_mutex_lock(&t->s->lock);
	enabled = t->s->enabled;
	pthread_mutex_unlock(&t->s->lock);
	if (!enabled || t->connected || t->asking)
		return;
	busy(t, true);
	r = open_all(t, &err);
	if (r == 0)
		r = cpg_read_config(t, &cfg, &err);
	if (r == 0)
		ask(t, &cfg);
	else
		lost(t, err.text);
	busy(t, false);
}

/* Sending -------------------------------------------------------------------------------------------------------------- */

/* 0: gone; -EAGAIN: later. */
static int send_now(struct cpgthread *t, const struct cpg_out *w)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)w->data, .iov_len = w->len };
	cs_error_t e = cpg_mcast_joined(t->cpg, CPG_TYPE_AGREED, &iov, 1);

	if (e == CS_ERR_TRY_AGAIN)
		return -EAGAIN;
	if (e == CS_OK) {
		t->flowed_ns = now_ns();
		if (t->config_changed)
			loop_timer_in(t->check, 0);
		return 0;
	}
	log_warn("corosync does not take a message (error %d)", (int)e);
	t->broken = true;
	loop_timer_in(t->retry, 0);
	return -EIO;
}

static void send_queue(struct cpgthread *t)
{
	while (t->first && !t->broken) {
		struct cpg_out *w = t->first;

		if (send_now(t, w) < 0)
			break;
		t->first = w->next;
		if (!t->first)
			t->last = &t->first;
		out_done(t, w);
	}
	if (t->first && !t->broken)
		loop_timer_in(t->retry, RETRY_NS);
}

static void on_retry(void *arg)
{
	struct cpgthread *t = arg;

	busy(t, true);
	if (t->broken)
		lost(t, LOST_TEXT);
	else
		send_queue(t);
	busy(t, false);
}

/* Orders of the loop's side -------------------------------------------------------------------------------------------- */

struct orders {
	struct cpg_out *out;
	bool quit, enabled, again, resume;
	uint64_t leave_conn, answer_conn;
	int answer;
	char text[ERR_TEXT_MAX];
};

static void take_orders(struct cpgthread *t, struct orders *o)
{
	struct cpgshared *s = t->s;

	pthread_mutex_lock(&s->lock);
	*o = (struct orders){ .out = s->out,
		              .quit = s->orphan,
		              .enabled = s->enabled,
		              .again = s->again,
		              .resume = !s->paused,
		              .leave_conn = s->leave_conn,
		              .answer_conn = s->answer_conn,
		              .answer = s->answer };
	memcpy(o->text, s->answer_text, sizeof(o->text));
	s->out = NULL;
	s->out_end = &s->out;
	s->again = false;
	s->leave_conn = s->answer_conn = 0;
	pthread_mutex_unlock(&s->lock);
}

/* Behind what waits; what was meant for a connection that is over is not for this one. */
static void take_messages(struct cpgthread *t, struct cpg_out *w)
{
	while (w) {
		struct cpg_out *next = w->next;

		if (t->joined && !t->broken && w->conn == t->conn) {
			w->next = NULL;
			*t->last = w;
			t->last = &w->next;
		} else {
			out_done(t, w);
		}
		w = next;
	}
}

static void answered(struct cpgthread *t, int r, const char *text)
{
	struct err err = { 0 };

	t->asking = false;
	if (t->connected && r == 0) {
		t->cfg = t->asked;
		return;
	}
	if (r == 0) {
		t->cfg = t->asked;
		r = join(t, &err);
		text = err.text;
	}
	if (r == -EINPROGRESS) {
		disconnect(t);
		later(t);
	} else if (r < 0) {
		lost(t, text);
	} else {
		t->connected = true;
		t->backoff_ns = BACKOFF_NS;
		loop_timer_in(t->check, CHECK_NS);
		say(t, NULL);
	}
}

static void end(struct cpgthread *t)
{
	if (t->have_cpg && t->joined) {
		struct cpg_name g = group_name();

		(void)cpg_leave(t->cpg, &g);
	}
	disconnect(t);
	loop_quit(t->loop, 0);
}

static void on_orders(void *arg, int fd, uint32_t revents)
{
	struct cpgthread *t = arg;
	struct orders o;
	uint64_t count;
	bool waits;

	(void)revents;
	(void)!read(fd, &count, sizeof(count));
	busy(t, true);
	take_orders(t, &o);
	if (t->held && o.resume) {
		t->held = false;
		loop_mod_fd(t->cpg_src, EPOLLIN);
	}
	if (o.answer_conn && o.answer_conn == t->conn && t->asking)
		answered(t, o.answer, o.text);
	waits = t->first;
	take_messages(t, o.out);
	if (o.quit) {
		end(t);
	} else if (!o.enabled) {
		if (t->joined)
			say(t, "left the group");
		disconnect(t);
		loop_timer_at(t->again, UINT64_MAX);
	} else if (o.leave_conn == UINT64_MAX || (t->joined && o.leave_conn == t->conn)) {
		if (t->joined)
			say(t, "left the group, joins it again");
		disconnect(t);
		later(t);
	} else if (!waits) {
		send_queue(t);
	}
	if (o.again && o.enabled && !o.quit) {
		t->backoff_ns = BACKOFF_NS;
		if (!t->connected && !t->asking)
			loop_timer_in(t->again, 0);
	}
	busy(t, false);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

struct cpgthread *cpgthread_new(struct cpgshared *s)
{
	struct cpgthread *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct cpgthread){ .s = s, .backoff_ns = BACKOFF_NS };
	t->last = &t->first;
	t->loop = loop_new();
	t->orders = t->loop ? loop_add_fd(t->loop, s->to_thread, EPOLLIN, on_orders, t) : NULL;
	t->again = t->orders ? loop_add_timer(t->loop, on_again, t) : NULL;
	t->retry = t->again ? loop_add_timer(t->loop, on_retry, t) : NULL;
	t->check = t->retry ? loop_add_timer(t->loop, on_check, t) : NULL;
	if (!t->check) {
		cpgthread_free(t);
		return NULL;
	}
	loop_timer_in(t->again, 0);
	return t;
}

void cpgthread_free(struct cpgthread *t)
{
	if (!t)
		return;
	loop_del_fd(t->orders);
	loop_del_timer(t->again);
	loop_del_timer(t->retry);
	loop_del_timer(t->check);
	loop_free(t->loop);
	free(t);
}

void *cpgthread_run(void *arg)
{
	struct cpgthread *t = arg;

	(void)loop_run(t->loop);
	cpgthread_free(t);
	return NULL;
}
