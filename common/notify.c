/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See notify.h. The protocol is one datagram; libsystemd would be a library in the guard, which has none. */
#include "config.h"
#include "common/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/cleanup.h"

void notify_ready(void)
{
	static const char text[] = "READY=1";
	const char *path = secure_getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(a.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = 0;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		/* the manager's time limit says it */
	}
}

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

int notify_socket(const char *unit)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS"),
		   *name = secure_getenv("LISTEN_FDNAMES") ?: "";
	int n = pid && count && atol(pid) == (long)getpid() ? atoi(count) : 0, at = -1;

	if (!unit)
		at = n == 1 ? 0 : -1;
	for (int i = 0; unit && i < n && at < 0; i++) {
		size_t len = strcspn(name, ":");

		if (len == strlen(unit) && !strncmp(name, unit, len))
			at = i;
		name += len + (name[len] == ':');
	}
	return at >= 0 && fcntl(FIRST_FD + at, F_SETFD, FD_CLOEXEC) == 0 ? FIRST_FD + at : -1;
}
