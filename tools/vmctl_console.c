/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl console: bytes between the terminal (raw while attached) and the console socket that hvdom hands over. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE 0x1d /* Ctrl-] */

/* Bytes on their way in one direction. */
struct pipe_buf {
	char data[4096];
	size_t len;
	bool ended; /* nothing more comes */
};

static struct termios saved_term;

static void restore_terminal(void)
{
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_term);
}

static int raw_terminal(struct err *err)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved_term) < 0)
		return err_sys(err, errno, "terminal");
	raw = saved_term;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return err_sys(err, errno, "terminal");
	return 0;
}

/* Read more into @b. Returns false on a read error; the end sets ->ended. */
static bool fill(int fd, struct pipe_buf *b)
{
	ssize_t n = read(fd, b->data + b->len, sizeof(b->data) - b->len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		b->ended = true;
	b->len += (size_t)n;
	return true;
}

static bool drain(int fd, struct pipe_buf *b)
{
	ssize_t n = write(fd, b->data, b->len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	b->len -= (size_t)n;
	memmove(b->data, b->data + n, b->len);
	return true;
}

/* The escape key was typed: what came before it still goes out. */
static bool cut_at_escape(struct pipe_buf *in, size_t from)
{
	char *at = memchr(in->data + from, ESCAPE, in->len - from);

	if (!at)
		return false;
	in->len = (size_t)(at - in->data);
	in->ended = true;
	return true;
}

/* Until the escape key, the end of the domain, a signal, or (with input that is no terminal) the end of both. */
static int relay(int sock, bool tty, bool *by_user)
{
	struct pipe_buf in = { 0 }, out = { 0 };

	while (!vmctl_stopped) {
		bool more_in = !in.ended && in.len < sizeof(in.data),
		     more_out = !out.ended && out.len < sizeof(out.data);
		struct pollfd p[3] = {
			{ .fd = more_in ? STDIN_FILENO : -1, .events = POLLIN },
			{ .fd = sock, .events = (short)((more_out ? POLLIN : 0) | (in.len ? POLLOUT : 0)) },
			{ .fd = out.len ? STDOUT_FILENO : -1, .events = POLLOUT },
		};
		size_t before = in.len;

		if (out.ended && !out.len)
			return 0;
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents && !fill(STDIN_FILENO, &in))
			return -errno;
		if (tty && in.len > before && cut_at_escape(&in, before)) {
			*by_user = true;
			(void)drain(sock, &in);
			return 0;
		}
		if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) && more_out && !fill(sock, &out))
			out.ended = true;
		if ((p[1].revents & POLLOUT) && in.len && !drain(sock, &in))
			out.ended = true;
		if (p[2].revents && !drain(STDOUT_FILENO, &out))
			return -errno;
	}
	*by_user = true;
	return 0;
}

/* The number that CONSOLE takes: 0 is the boot console, 1.. are those of the XML; by default the first that there is. */
static int choose(struct cli *v, struct hvcall *c, uint32_t *index, struct err *err)
{
	struct hv_stats st;
	int r;

	*index = 0;
	if (cli_opt(v, 0))
		return 0;
	if (cli_opt(v, 1)) {
		char *end;
		unsigned long n = strtoul(v->value[1], &end, 10);

		if (*end || !isdigit((unsigned char)*v->value[1]) || n >= DOM_CONSOLES_MAX)
			return err_set(err, EINVAL, "--index \"%s\": 0 to %d", v->value[1], DOM_CONSOLES_MAX - 1);
		*index = (uint32_t)n + 1;
		return 0;
	}
	r = hvcall_simple(c, HV_OP_STATS, NULL, 0, &st, sizeof(st), err);
	for (uint32_t i = 0; !r && i < st.n_devs && i < HV_DEVS_MAX; i++)
		if (st.dev[i].kind == 3)
			*index = 1;
	return r;
}

int vmctl_console(struct cli *v, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct hv_console_req req = { .flags = cli_opt(v, 2) };
	bool tty = isatty(STDIN_FILENO), by_user = false;
	_cleanup_close_ int sock = -1;
	size_t n = 1;
	int r = vmhost_connect(&c, v->arg[0], err);

	if (!r)
		r = choose(v, &c, &req.index, err);
	if (!r)
		r = hvcall(&c, HV_OP_CONSOLE, &req, sizeof(req), NULL, 0, NULL, 0, NULL, &sock, &n, err);
	if (r == -EBUSY)
		return err_set(err, r, "console of '%s' is in use; --force takes it over", v->arg[0]);
	if (r < 0)
		return err_prefix(err, "console %s", v->arg[0]);
	if (!n)
		return err_set(err, EPROTO, "console %s: hvdom sent no socket", v->arg[0]);
	hvcall_close(&c);
	if (fcntl(sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, errno, "console %s", v->arg[0]);
	vmctl_catch_signals();
	if (tty) {
		fprintf(stderr, "Connected to domain '%s'. Escape character is ^] (Ctrl + ])\n", v->arg[0]);
		r = raw_terminal(err);
		if (r < 0)
			return r;
	}
	r = relay(sock, tty, &by_user);
	if (tty) {
		restore_terminal();
		fprintf(stderr, "\n%s\n", by_user ? "Disconnected" : "The console was closed");
	}
	return r < 0 ? err_sys(err, r, "console %s", v->arg[0]) : 0;
}
