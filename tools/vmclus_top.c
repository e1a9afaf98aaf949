/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmclus top: hosts with their loads, migrations in flight, domains; redrawn at each report of clusterd, at each key, at each new size of
 * the terminal. One thread, one poll(); the terminal is put back however it ends (SIGKILL aside). Drawing is in vmclus_topdraw.c.
 */
#include "config.h"
#include "tools/vmclus_top_int.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"

#define SILENT_NS (5 * NS_PER_S)

static volatile sig_atomic_t stopped, suspended;
static struct termios before; /* of the terminal, to put back */

static void on_signal(int sig)
{
	if (sig == SIGTSTP)
		suspended = 1;
	else if (sig != SIGWINCH) /* a new size needs no more than the interrupted poll() */
		stopped = 1;
}

static void catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
}

static void say(const char *text)
{
	(void)!write(STDOUT_FILENO, text, strlen(text));
}

static void screen_enter(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	say("\033[?1049h\033[?25l"); /* the other screen, no cursor */
}

static void screen_leave(void)
{
	say("\033[0m\033[?25h\033[?1049l");
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void screen_size(struct top *t)
{
	struct winsize w = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col) {
		w.ws_row = 24;
		w.ws_col = 80;
	}
	t->rows = w.ws_row;
	t->cols = w.ws_col;
}

/* Since when each migration is seen: a report does not say. */
static void note_migrations(struct top *t)
{
	json_t *now = json_object(), *d;
	size_t i;

	json_array_foreach(json_object_get(t->status, "domains"), i, d)
	{
		const char *name = field_text(d, "name");

		if (strcmp(field_text(d, "operation"), "migrate") != 0)
			continue;
		json_t *since = json_object_get(t->since, name);
		(void)json_object_set_new(now, name, since ? json_incref(since) : json_integer((json_int_t)now_ns()));
	}
	json_decref(t->since);
	t->since = now;
}

static int reconnect(struct top *t)
{
	struct err err = { 0 };

	jsonconn_close(&t->conn);
	t->heard_ns = now_ns();
	int r = jsonconn_order(&t->conn, &vmclus_peer, json_pack("{s:s, s:b}", "op", "status", "watch", 1), &err);
	if (r < 0)
		snprintf(t->trouble, sizeof(t->trouble), "%s", err.text);
	return r;
}

/* Take what clusterd said; the newest report counts. */
static void take_reports(struct top *t)
{
	struct err err = { 0 };

	for (;;) {
		json_t *o = NULL;
		int r = vmclus_recv(&t->conn, false, &o, &err);

		if (r == -EAGAIN || r == -EINTR)
			return;
		if (r < 0) {
			snprintf(t->trouble, sizeof(t->trouble), "%s", err.text);
			jsonconn_close(&t->conn);
			return;
		}
		if (strcmp(field_text(o, "type"), "status") != 0) {
			json_decref(o);
			continue;
		}
		json_decref(t->status);
		t->status = o;
		t->trouble[0] = 0;
		t->heard_ns = now_ns();
		note_migrations(t);
	}
}

static void key_letter(struct top *t, char c)
{
	static const char sorts[] = "nhscm"; /* in the order of enum top_sort */
	const char *s = memchr(sorts, c, sizeof(sorts) - 1);

	if (c == 'q' || c == 'Q' || c == 4)
		stopped = 1;
	else if (c == 'r')
		t->reverse = !t->reverse;
	else if (s)
		t->sort = (enum top_sort)(s - sorts);
	else if (c == 'j')
		t->selected++;
	else if (c == 'k')
		t->selected--;
}

static void take_keys(struct top *t)
{
	static const struct {
		const char *seq;
		long by;
	} moves[] = {
		{ "\033[A", -1 },     { "\033OA", -1 },      { "\033[B", 1 },       { "\033OB", 1 },
		{ "\033[5~", -10 },   { "\033[6~", 10 },     { "\033[H", -100000 }, { "\033[1~", -100000 },
		{ "\033[F", 100000 }, { "\033[4~", 100000 },
	};
	char in[64];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in) - 1);

	if (n == 0)
		stopped = 1; /* the terminal is gone */
	for (char *p = in, *end = in + (n > 0 ? n : 0); p < end;) {
		size_t len = 0;

		for (size_t i = 0; i < ARRAY_SIZE(moves) && !len; i++)
			if ((size_t)(end - p) >= strlen(moves[i].seq) &&
			    !memcmp(p, moves[i].seq, strlen(moves[i].seq))) {
				t->selected += moves[i].by;
				len = strlen(moves[i].seq);
			}
		if (!len && *p != '\033')
			key_letter(t, *p);
		p += len ? len : 1;
	}
}

/* A report comes once a second. */
static void look_at_silence(struct top *t)
{
	uint64_t now = now_ns();

	if (t->conn.fd >= 0 && now > t->heard_ns + SILENT_NS)
		snprintf(t->trouble, sizeof(t->trouble), "clusterd has not answered for %u s",
		         (unsigned)((now - t->heard_ns) / NS_PER_S));
}

static void draw(struct top *t)
{
	struct buf b = { 0 };

	look_at_silence(t);
	screen_size(t);
	top_draw(t, &b);
	if (!b.failed)
		(void)!write_full(STDOUT_FILENO, b.data, b.len);
	buf_done(&b);
}

static void run_loop(struct top *t)
{
	while (!stopped) {
		struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			                 { .fd = t->conn.fd, .events = POLLIN } };

		draw(t);
		int n = poll(fds, 2, 1000); /* the other descriptor is -1 while there is no clusterd */
		if (suspended) {
			suspended = 0;
			screen_leave();
			raise(SIGSTOP);
			screen_enter();
		}
		if (n > 0 && fds[0].revents)
			take_keys(t);
		if (t->conn.fd < 0)
			(void)reconnect(t);
		else if (n > 0 && fds[1].revents)
			take_reports(t);
	}
}

int vmclus_top(struct cli *v, struct err *err)
{
	struct top t = { .conn = { .fd = -1 } };
	int r;

	(void)v;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set(err, ENOTTY, "top needs a terminal; vmclus status --watch does not");
	r = reconnect(&t);
	if (r < 0)
		return err_set(err, -r, "%s", t.trouble);
	catch_signals();
	screen_enter();
	run_loop(&t);
	screen_leave();
	jsonconn_close(&t.conn);
	json_decref(t.status);
	json_decref(t.since);
	return 0;
}
