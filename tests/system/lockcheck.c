/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lockcheck FILE: exit 0 if someone holds an exclusive OFD or POSIX lock on it, 1 if nobody does, 2 if that cannot be told. For system tests. */
#include "config.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &l) < 0) {
		perror(argc == 2 ? argv[1] : "usage: lockcheck FILE");
		return 2;
	}
	close(fd);
	return l.l_type == F_UNLCK ? 1 : 0;
}
