/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fence agents: see fence.h. */
#include "config.h"
#include "clusterd/io/fence.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/jsonplain.h"
#include "common/log.h"
#include "common/util.h"

#define AGENT_DIR   "/usr/sbin"
#define TIMEOUT_S   60
#define BACKOFF_NS  (2 * NS_PER_S)
#define BACKOFF_MAX (60 * NS_PER_S)
#define OUTPUT_MAX  200u
#define PIPE_READS  160u /* of 512 octets; 64 KiB, and some */

struct attempt {
	struct attempt *next;
	struct fence *f;
	char host[64];
	uint64_t lost_id;
	pid_t pid; /* 0: none runs */
	int out_fd;
	struct loop_fd *out_src;
	struct loop_timer *timer; /* the agent's limit, or the next try */
	uint64_t backoff_ns;
	bool unwanted, timed_out, off; /* off: the agent said so */
	char out[OUTPUT_MAX + 1];
	size_t out_len;
	char text[ERR_TEXT_MAX];
};

struct fence {
	struct loop *loop;
	const struct fence_ops *ops;
	void *arg;
	struct attempt *tries;
};

struct agent {
	char path[128];
	struct buf input;
	uint64_t timeout_ns;
};

/* Configuration -------------------------------------------------------------------------------------------------------- */

static char *conf_path(const char *host)
{
	return xasprintf("%s/fence.d/%s.json", path_conf(), host);
}

bool fence_configured(const char *host)
{
	_cleanup_free_ char *path = conf_path(host);

	return access(path, F_OK) == 0;
}

static int add_option(struct buf *to, const char *key, json_t *v)
{
	_cleanup_free_ char *number = json_is_integer(v) ? xasprintf("%lld", (long long)json_integer_value(v)) : NULL;
	const char *text = json_is_string(v)  ? json_string_value(v)
	                   : json_is_true(v)  ? "1"
	                   : json_is_false(v) ? "0"
	                                      : number;

	if (!text || strpbrk(text, "\n\r") || strpbrk(key, "=\n\r "))
		return -EINVAL;
	buf_put(to, key, strlen(key));
	buf_put(to, "=", 1);
	buf_put(to, text, strlen(text));
	buf_put(to, "\n", 1);
	return 0;
}

static int agent_of(json_t *o, const char *host, const char *path, struct agent *a, struct err *err)
{
	const char *name = json_string_value(json_object_get(o, "agent")), *dir = secure_getenv("HOSPES_FENCE_AGENTS"),
		   *key, *action = "off";
	json_t *options = json_object_get(o, "options"), *timeout = json_object_get(o, "timeout_s"), *v;

	if (!name || strncmp(name, "fence_", 6) != 0 || !name_is_valid(name))
		return err_set(err, EINVAL, "%s: \"agent\" is the name of a fence agent (fence_...)", path);
	snprintf(a->path, sizeof(a->path), "%.60s/%.60s", dir ? dir : AGENT_DIR, name);
	if (access(a->path, X_OK) < 0)
		return err_sys(err, errno, "%s: no agent %s (package fence-agents)", path, a->path);
	if (options && !json_is_object(options))
		return err_set(err, EINVAL, "%s: \"options\" is an object", path);
	if (json_object_get(o, "action"))
		action = json_string_value(json_object_get(o, "action"));
	if (!action || (strcmp(action, "off") != 0 && strcmp(action, "reboot") != 0))
		return err_set(err, EINVAL, "%s: \"action\" is \"off\" or \"reboot\"", path);
	if (json_object_get(options, "action"))
		return err_set(err, EINVAL, "%s: \"action\" stands beside \"options\", not in it", path);
	json_object_foreach(options, key, v)
	{
		if (add_option(&a->input, key, v) < 0)
			return err_set(err, EINVAL, "%s: option \"%.60s\" is neither text nor number", path, key);
	}
	if (!json_object_get(options, "port") && !json_object_get(options, "plug"))
		(void)add_option(&a->input, "nodename", v = json_string(host)), json_decref(v);
	if (add_option(&a->input, "action", v = json_string(action)) < 0)
		a->input.failed = true;
	json_decref(v);
	a->timeout_ns = (json_is_integer(timeout) && json_integer_value(timeout) > 0 &&
	                                 json_integer_value(timeout) < 3600
	                         ? (uint64_t)json_integer_value(timeout)
	                         : TIMEOUT_S) *
	                NS_PER_S;
	return a->input.failed ? err_sys(err, ENOMEM, "%s", path) : 0;
}

static int agent_load(const char *host, struct agent *a, struct err *err)
{
	_cleanup_free_ char *path = conf_path(host), *text = NULL;
	json_error_t je;
	size_t len;
	int r = file_read(path, 65536, &text, &len);

	if (r < 0)
		return err_sys(err, r, "read %s", path);
	json_plain(text, len);
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(o))
		r = err_set(err, EINVAL, "%s:%d: %s", path, je.line, o ? "not an object" : je.text);
	else
		r = agent_of(o, host, path, a, err);
	json_decref(o);
	return r;
}

/* Running -------------------------------------------------------------------------------------------------------------- */

static void close_out(struct attempt *t)
{
	loop_del_fd(t->out_src);
	t->out_src = NULL;
	if (t->out_fd >= 0)
		close(t->out_fd);
	t->out_fd = -1;
}

/* False: there is nothing now, or will never be. */
static bool read_output(struct attempt *t)
{
	char chunk[512];
	ssize_t n = read(t->out_fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close_out(t);
		return false;
	}
	/* in one line; the end of what it says tells most */
	for (ssize_t i = 0; i < n; i++) {
		bool blank = (unsigned char)chunk[i] <= ' ';
		if (blank && (!t->out_len || t->out[t->out_len - 1] == ' '))
			continue;
		if (t->out_len == OUTPUT_MAX)
			memmove(t->out, t->out + 1, --t->out_len);
		t->out[t->out_len++] = blank ? ' ' : chunk[i];
	}
	t->out[t->out_len] = 0;
	return true;
}

static void on_output(void *arg, int fd, uint32_t revents)
{
	(void)fd, (void)revents;
	(void)read_output(arg);
}

static void __attribute__((noreturn)) child(const char *path, int in_fd, int out_fd)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	/* most agents are Python's: what is old in them is not what went wrong */
	(void)setenv("PYTHONWARNINGS", "ignore", 0);
	if (dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0 || chdir("/") < 0)
		_exit(126);
	execl(path, path, (char *)NULL);
	_exit(127);
}

/* Options fit into the pipe (64 KiB), or the agent is not started: the loop never waits for a reader. */
static int spawn(struct attempt *t, const struct agent *a, struct err *err)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	_cleanup_close_ int in_rd = in[0], in_wr = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	_cleanup_close_ int out_rd = out[0], out_wr = out[1];
	if (fcntl(in_wr, F_SETFL, O_NONBLOCK) < 0 || fcntl(out_rd, F_SETFL, O_NONBLOCK) < 0 ||
	    write(in_wr, a->input.data, a->input.len) != (ssize_t)a->input.len)
		return err_set(err, E2BIG, "the options of %s do not fit a pipe", a->path);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start %s", a->path);
	if (!pid)
		child(a->path, in_rd, out_wr);
	t->pid = pid;
	t->timed_out = false;
	t->out_len = 0;
	t->out[0] = 0;
	t->out_fd = steal_fd(&out_rd);
	t->out_src = loop_add_fd(t->f->loop, t->out_fd, EPOLLIN, on_output, t);
	loop_timer_in(t->timer, a->timeout_ns);
	snprintf(t->text, sizeof(t->text), "%s runs", a->path);
	log_info("fencing %s: %s", t->host, t->text);
	return 0;
}

static void try_later(struct attempt *t, const char *why)
{
	snprintf(t->text, sizeof(t->text), "%s; tried again in %llu s", why,
	         (unsigned long long)(t->backoff_ns / NS_PER_S));
	loop_timer_in(t->timer, t->backoff_ns);
	t->backoff_ns = t->backoff_ns * 2 > BACKOFF_MAX ? BACKOFF_MAX : t->backoff_ns * 2;
	t->f->ops->failed(t->f->arg, t->host, t->text);
}

static void start(struct attempt *t)
{
	struct agent a = { .timeout_ns = 0 };
	struct err err = { 0 };
	int r = agent_load(t->host, &a, &err);

	if (r == 0)
		r = spawn(t, &a, &err);
	buf_done(&a.input);
	if (r < 0)
		try_later(t, err.text);
}

/* Its children too: agents call ssh, curl and the like. */
static void kill_agent(const struct attempt *t)
{
	kill(-t->pid, SIGKILL);
	kill(t->pid, SIGKILL);
}

static void on_timer(void *arg)
{
	struct attempt *t = arg;

	if (!t->pid) {
		if (!t->unwanted)
			start(t);
		return;
	}
	t->timed_out = true;
	kill_agent(t);
	loop_timer_in(t->timer, NS_PER_S);
}

static void try_free(struct attempt *t)
{
	for (struct attempt **p = &t->f->tries; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	if (t->pid)
		kill_agent(t);
	close_out(t);
	loop_del_timer(t->timer);
	free(t);
}

static struct attempt *find(const struct fence *f, const char *host)
{
	for (struct attempt *t = f->tries; t; t = t->next)
		if (!strcmp(t->host, host))
			return t;
	return NULL;
}

bool fence_child(struct fence *f, pid_t pid, int status)
{
	char why[ERR_TEXT_MAX];
	struct attempt *t = f->tries;

	while (t && t->pid != pid)
		t = t->next;
	if (!t)
		return false;
	t->pid = 0;
	loop_timer_at(t->timer, UINT64_MAX);
	/* what a pipe holds, and no more: its children may write on */
	for (unsigned i = 0; t->out_src && i < PIPE_READS && read_output(t); i++)
		;
	close_out(t);
	text_tidy(t->out);
	t->out_len = strlen(t->out);
	if (t->out_len && t->out[t->out_len - 1] == ' ')
		t->out[--t->out_len] = 0;
	if (t->unwanted) {
		try_free(t);
	} else if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		snprintf(t->text, sizeof(t->text), "the agent says that it is off, or was");
		log_warn("fencing %s: %s", t->host, t->text);
		t->off = true;
		f->ops->done(f->arg, t->host, t->lost_id);
	} else {
		snprintf(why, sizeof(why), "the agent %s%s%s",
		         t->timed_out                 ? "did not answer in time"
		         : WIFSIGNALED(status)        ? "was killed"
		         : WEXITSTATUS(status) == 127 ? "cannot be run"
		                                      : "failed",
		         t->out_len ? ": " : "", t->out);
		try_later(t, why);
	}
	return true;
}

void fence_want(struct fence *f, const char *host, uint64_t lost_id)
{
	struct attempt *t = find(f, host);

	if (t && t->lost_id == lost_id) {
		if (t->off) /* said again: the first word may have been lost */
			f->ops->done(f->arg, host, lost_id);
		return;
	}
	if (t && t->pid)
		return; /* the one of an earlier loss still runs */
	if (!fence_configured(host))
		return;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return;
		t->f = f;
		t->out_fd = -1;
		snprintf(t->host, sizeof(t->host), "%s", host);
		t->next = f->tries;
		f->tries = t;
		t->timer = loop_add_timer(f->loop, on_timer, t);
		if (!t->timer) {
			try_free(t);
			return;
		}
	}
	t->lost_id = lost_id;
	t->unwanted = t->off = false;
	t->backoff_ns = BACKOFF_NS;
	start(t);
}

void fence_unwant(struct fence *f, const char *host)
{
	struct attempt *t = find(f, host);

	if (!t)
		return;
	t->unwanted = true;
	if (t->pid)
		kill_agent(t);
	else
		try_free(t);
}

const char *fence_text(const struct fence *f, const char *host)
{
	const struct attempt *t = find(f, host);

	return t ? t->text : "";
}

struct fence *fence_new(struct loop *loop, const struct fence_ops *ops, void *arg)
{
	struct fence *f = calloc(1, sizeof(*f));

	if (f)
		*f = (struct fence){ .loop = loop, .ops = ops, .arg = arg };
	return f;
}

void fence_free(struct fence *f)
{
	if (!f)
		return;
	while (f->tries)
		try_free(f->tries);
	free(f);
}
