/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts hvdom: see launch.h. Until it said that it is ready it is its starter's: whatever goes wrong, it is ended again. */
#include "config.h"
#include "hypervisor/api/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/dompath.h"

#define TERM_WAIT_MS 5000
#define LOG_TAIL     600

int hvlaunch_path(char **ret, struct err *err)
{
	const char *env = getenv("HOSPES_LIBEXEC");
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir;

	if (env && *env) {
		*ret = xasprintf("%s/hvdom", env);
		if (!access(*ret, X_OK))
			return 0;
		err_sys(err, errno, "hvdom: %s (HOSPES_LIBEXEC)", *ret);
		free(steal_ptr(ret));
		return -ENOENT;
	}
	self[n > 0 ? n : 0] = 0;
	dir = dirname(self);
	for (int i = 0; i < 4; i++) {
		char *path = i == 0   ? xasprintf("%s/../sbin/hvdom", dir)
		             : i == 1 ? xasprintf("%s/../hypervisor/hvdom", dir)
		             : i == 2 ? xasprintf("%s/hvdom", dir)
		                      : xasprintf("%s/hvdom", HOSPES_SBINDIR);

		if (!access(path, X_OK)) {
			*ret = path;
			return 0;
		}
		free(path);
	}
	return err_set(err, ENOENT,
	               "hvdom is not installed: not in %s/../sbin nor %s; make install, or set HOSPES_LIBEXEC", dir,
	               HOSPES_SBINDIR);
}

static int open_log(const char *name, struct err *err)
{
	_cleanup_free_ char *path = dompath_log(name);
	int fd, r = mkdir_p(path_log(), 0755);

	if (r < 0)
		return err_sys(err, r, "make log directory %s", path_log());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return fd < 0 ? err_sys(err, errno, "open log %s", path) : fd;
}

static void __attribute__((noreturn)) give_up(int ready_fd, const char *text)
{
	char line[ERR_TEXT_MAX + 20];
	int n = snprintf(line, sizeof(line), "error: %s\n", text);

	_exit(write(ready_fd, line, (size_t)n) < 0 ? 127 : 126);
}

/* When memory runs out, guests go before the daemons that start them. */
static void not_spared(void)
{
	char text[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0 && text[0] == '-')
		(void)!write(fd, "0", 1);
	close(fd);
}

/*
 * The child: never returns. @ready_fd is where the reason of a failure goes, too. Its log is opened here, not by the daemon that starts it:
 * the disk with the logs may hang.
 */
static void __attribute__((noreturn)) become_hvdom(const struct hvlaunch *l, const char *hvdom, int ready_fd)
{
	char ready[12], generation[24], text[200];
	const char *argv[16];
	struct err err = { 0 };
	int n = 0, null = open("/dev/null", O_RDWR), log_fd;

	signals_reset();
	setsid();
	not_spared();
	log_fd = open_log(l->name, &err);
	if (log_fd < 0)
		give_up(ready_fd, err.text);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(126);
	/* a domain outlives who started it, and must hold none of its pipes and locks */
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	if (fcntl(ready_fd, F_SETFD, 0) < 0)
		_exit(126);
	snprintf(ready, sizeof(ready), "%d", ready_fd);
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)l->generation);
	argv[n++] = hvdom;
	argv[n++] = "--config";
	argv[n++] = l->config;
	argv[n++] = "--ready-fd";
	argv[n++] = ready;
	if (l->incoming)
		argv[n++] = "--incoming";
	if (l->local)
		argv[n++] = "--local";
	if (l->force)
		argv[n++] = "--force";
	if (l->generation) {
		argv[n++] = "--generation";
		argv[n++] = generation;
	}
	if (l->cpu_baseline) {
		argv[n++] = "--cpu-baseline";
		argv[n++] = l->cpu_baseline;
	}
	if (l->log_level) {
		argv[n++] = "--log-level";
		argv[n++] = l->log_level;
	}
	argv[n] = NULL;
	execv(hvdom, (char *const *)(uintptr_t)argv);
	snprintf(text, sizeof(text), "run %s: %s", hvdom, strerror(errno));
	give_up(ready_fd, text);
}

static bool wait_end(pid_t pid, unsigned ms)
{
	for (unsigned i = 0; i <= ms / 10; i++) {
		pid_t r = waitpid(pid, NULL, WNOHANG);

		if (r == pid || (r < 0 && errno == ECHILD))
			return true;
		usleep(10000);
	}
	return false;
}

void hvlaunch_kill(const struct hvlaunch *l)
{
	if (l->pid <= 0)
		return;
	kill(l->pid, SIGTERM);
	if (wait_end(l->pid, TERM_WAIT_MS))
		return;
	kill(-l->pid, SIGKILL); /* its whole session */
	kill(l->pid, SIGKILL);
	wait_end(l->pid, TERM_WAIT_MS);
}

/* hvdom ended without a word: its last words are in the log. */
static int died_silently(const struct hvlaunch *l, struct err *err)
{
	_cleanup_free_ char *text = NULL, *log_path = dompath_log(l->name);
	const char *last = "";
	size_t len = 0;

	if (!file_read(log_path, 64u << 20, &text, &len) && len) {
		while (len && text[len - 1] == '\n')
			text[--len] = 0;
		last = memrchr(text, '\n', len);
		last = last ? last + 1 : text;
		if (strlen(last) > LOG_TAIL)
			last += strlen(last) - LOG_TAIL;
	}
	return err_set(err, EIO, "domain '%s' did not start: hvdom ended; %s says: %s", l->name, log_path, last);
}

int hvlaunch_begin(struct hvlaunch *l, struct err *err)
{
	_cleanup_close_ int wr = -1;
	_cleanup_free_ char *hvdom = NULL;
	int p[2], r = hvlaunch_path(&hvdom, err);

	l->pid = 0;
	l->ready_fd = -1;
	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start hvdom");
	wr = p[1];
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		r = err_sys(err, errno, "start hvdom");
		close(p[0]);
		return r;
	}
	if (!pid)
		become_hvdom(l, hvdom, wr);
	l->pid = pid;
	l->ready_fd = p[0];
	return 0;
}

int hvlaunch_result(const struct hvlaunch *l, const char *line, struct err *err)
{
	if (!strcmp(line, "ok"))
		return 0;
	if (!strncmp(line, "error: ", 7))
		return err_set(err, EIO, "domain '%s' did not start: %s", l->name, line + 7);
	return died_silently(l, err);
}
