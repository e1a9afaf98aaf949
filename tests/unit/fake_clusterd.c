/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for clusterd's order socket. "fake_clusterd DIR" listens on DIR/clusterd.sock; each order is appended to DIR/orders, and
 * the lines of DIR/OP (its "op") are the answer. Lines that begin with '#': "#sleep MS", "#close", "#hold" (until the client goes),
 * "#await NAME" (until DIR/NAME is there).
 * Pings go to DIR/pings instead. A process serves each client, and ends with this one.
 */
#include "config.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/cleanup.h"
#include "common/util.h"

static void await(const char *dir, char *name)
{
	_cleanup_free_ char *path = NULL;

	name[strcspn(name, "\n")] = 0;
	path = xasprintf("%s/%s", dir, name);
	while (access(path, F_OK))
		usleep(20000);
}

/* False: the connection is of no use any more. */
static bool answer(FILE *to, const char *dir, const char *op)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, op), *line = NULL;
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t cap = 0;
	char c;

	if (!f) {
		fprintf(to, "{\"type\":\"error\",\"error\":\"no answer is prepared for %s\",\"code\":\"ENOSYS\"}\n",
		        op);
		return !fflush(to);
	}
	while (getline(&line, &cap, f) > 0) {
		if (!strncmp(line, "#sleep ", 7))
			usleep((useconds_t)atoi(line + 7) * 1000);
		else if (!strncmp(line, "#await ", 7))
			await(dir, line + 7);
		else if (!strncmp(line, "#close", 6))
			return false;
		else if (!strncmp(line, "#hold", 5))
			(void)!recv(fileno(to), &c, 1, MSG_PEEK);
		else if (fputs(line, to) < 0 || fflush(to))
			return false;
	}
	return true;
}

static void serve(int fd, const char *dir)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = fdopen(fd, "r+");
	size_t cap = 0;

	if (!f) {
		close(fd);
		return;
	}
	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *op = json_string_value(json_object_get(o, "op"));
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, op && !strcmp(op, "ping") ? "pings" : "orders");
		FILE *log = fopen(path, "ae");

		if (log) {
			fputs(line, log);
			fclose(log);
		}
		bool more = answer(f, dir, op && !strchr(op, '/') ? op : "none");
		json_decref(o);
		if (!more)
			return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (argc != 2 || fd < 0 ||
	    snprintf(a.sun_path, sizeof(a.sun_path), "%s/clusterd.sock", argv[1]) >= (int)sizeof(a.sun_path))
		return 2;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0) {
		perror(a.sun_path);
		return 1;
	}
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			continue;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(c, argv[1]);
			return 0;
		}
		close(c);
	}
}
