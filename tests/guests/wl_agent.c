/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest agent: reads the host's orders, one line each, from a virtio console (hospes.agent=, default hvc1) and carries them out.
 * The protocol is docs/wire/agent.md. It runs alone, keeps no state, and opens the console again when it went away. With hospes.beat=SECONDS
 * it lets the host know that it lives.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define AGENT_LINE_MAX 128
#define BEATS          4 /* in a period: three may be late */

static unsigned beat_s; /* 0: none */
static unsigned beats;  /* so many, then no more; 0: for ever */
static volatile sig_atomic_t channel = -1;

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

static void beat(int fd, unsigned seconds)
{
	char text[32];

	snprintf(text, sizeof(text), "hospes:beat %u\n", seconds);
	reply(fd, text);
}

/* Ended by its init: the system goes down in order, which may take longer than a heartbeat. */
static void on_term(int sig)
{
	static const char off[] = "hospes:beat 0\n";

	_exit(channel < 0 || write(channel, off, sizeof(off) - 1) < 0 ? 128 + sig : 0);
}

/* Meanwhile nobody here beats. */
static void end_system(int fd, const char *how)
{
	if (beat_s)
		beat(fd, 0);
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
		end_system(fd, "poweroff");
	} else if (!strcmp(line, "hospes:reboot")) {
		reply(fd, "hospes:ok reboot\n");
		end_system(fd, "reboot");
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
	if (beat_s)
		beat(fd, beat_s);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char c;

		if (beat_s && poll(&p, 1, (int)(beat_s * 1000 / BEATS)) == 0) {
			if (beats != 1)
				beat(fd, beat_s);
			beats -= beats > 1;
			continue;
		}
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
	beat_s = (unsigned)atoi(wl_cmdline("hospes.beat", "0", name, sizeof(name)));
	beats = (unsigned)atoi(wl_cmdline("hospes.beats", "0", name, sizeof(name)));
	if (beat_s)
		signal(SIGTERM, on_term);
	for (;;) {
		int fd = console_open(path);

		if (fd >= 0) {
			channel = fd;
			agent_serve(fd);
			channel = -1;
			close(fd);
		}
		wl_sleep_ns(2000000000);
	}
}
