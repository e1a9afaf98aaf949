/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest agent: reads the host's orders, one line each, from a virtio console (hospes.agent=, default hvc1) and carries them out.
 * The protocol is docs/wire/agent.md. It runs alone, keeps no state, and opens the console again when it went away.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define AGENT_LINE_MAX 128

static int console_open(const char *path)
{
	struct termios t;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	return fd;
}

static void reply(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "agent: reply: %s\n", strerror(errno));
}

static void end_system(const char *how)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		execl("/sbin/guest-down", "guest-down", how, (char *)NULL);
		execlp(how, how, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void agent_line(int fd, const char *line)
{
	if (!strcmp(line, "hospes:ping")) {
		reply(fd, "hospes:pong\n");
	} else if (!strcmp(line, "hospes:shutdown")) {
		reply(fd, "hospes:ok shutdown\n");
		end_system("poweroff");
	} else if (!strcmp(line, "hospes:reboot")) {
		reply(fd, "hospes:ok reboot\n");
		end_system("reboot");
	} else if (!strncmp(line, "hospes:", 7)) {
		reply(fd, "hospes:unknown\n");
	}
}

static void agent_serve(int fd)
{
	char line[AGENT_LINE_MAX];
	size_t n = 0;
	bool too_long = false;

	reply(fd, "hospes:hello 1\n");
	for (;;) {
		char c;
		ssize_t r = read(fd, &c, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return;
		if (c == '\r')
			continue;
		if (c != '\n') {
			too_long = too_long || n >= sizeof(line) - 1;
			if (!too_long)
				line[n++] = c;
			continue;
		}
		line[n] = 0;
		if (!too_long)
			agent_line(fd, line);
		n = 0;
		too_long = false;
	}
}

int wl_agent_main(void)
{
	char name[32], path[48];

	wl_cmdline("hospes.agent", "hvc1", name, sizeof(name));
	snprintf(path, sizeof(path), "/dev/%s", name);
	for (;;) {
		int fd = console_open(path);

		if (fd >= 0) {
			agent_serve(fd);
			close(fd);
		}
		wl_sleep_ns(2000000000);
	}
}
