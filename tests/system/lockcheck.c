/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lockcheck FILE: exit 0 if someone holds an exclusive OFD or POSIX lock on it, 1 if nobody does, 2 if that cannot be told. For system tests.
 * lockcheck --release PID FILE: process PID lets go of its lock on it, as if it did so itself: a copy of its descriptor does.
 */
#include "config.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int release(pid_t pid, const char *file)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	int pidfd = pidfd_open(pid, 0), n = 0;
	struct stat want, st;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	DIR *d = opendir(dir);
	if (pidfd < 0 || !d || stat(file, &want) < 0) {
		perror(file);
		return 2;
	}
	for (struct dirent *e; (e = readdir(d));) {
		int fd;

		if (fstatat(dirfd(d), e->d_name, &st, 0) < 0 || st.st_ino != want.st_ino || st.st_dev != want.st_dev)
			continue;
		fd = pidfd_getfd(pidfd, atoi(e->d_name), 0);
		if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &l) == 0)
			n++;
		close(fd);
	}
	closedir(d);
	close(pidfd);
	return n ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if (argc == 4 && !strcmp(argv[1], "--release"))
		return release((pid_t)atoi(argv[2]), argv[3]);
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &l) < 0) {
		perror(argc == 2 ? argv[1] : "usage: lockcheck FILE");
		return 2;
	}
	close(fd);
	return l.l_type == F_UNLCK ? 1 : 0;
}
