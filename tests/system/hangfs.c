/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hangfs MOUNTPOINT: a file system with one file, x.img, that can stop answering, as a hard-mounted NFS whose server is gone. After SIGUSR1
 * it takes requests and does not answer them: whoever waits cannot even be killed. After SIGUSR2 it answers them all. Spoken over /dev/fuse.
 */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_MAX 256u

static struct {
	uint64_t unique, node;
	uint32_t op;
	char name[sizeof(struct fuse_read_in)]; /* what follows the header, as far as it is needed */
} kept[KEPT_MAX];
static unsigned n_kept;

static void attr_of(uint64_t node, struct fuse_attr *a)
{
	*a = (struct fuse_attr){ .ino = node, .nlink = 1, .blksize = 4096, .mode = S_IFDIR | 0755 };
	if (node == 1)
		return;
	a->mode = S_IFREG | 0644;
	a->size = 1 << 20;
}

static void reply(int fd, uint64_t unique, int error, const void *p, size_t len)
{
	static char packet[sizeof(struct fuse_out_header) + (1 << 17)];
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + len), .error = -error, .unique = unique };

	memcpy(packet, &h, sizeof(h));
	if (len)
		memcpy(packet + sizeof(h), p, len);
	if (write(fd, packet, h.len) < 0 && errno != ENOENT) /* ENOENT: nobody waits for it any more */
		perror("reply");
}

static void answer(int fd, uint32_t op, uint64_t unique, uint64_t node, const char *name)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
		                      .minor = 31,
		                      .max_background = 12,
		                      .congestion_threshold = 10,
		                      .max_write = 65536 };
	struct fuse_attr_out attr = { 0 };
	struct fuse_entry_out entry = { .nodeid = 2 };
	struct fuse_open_out open_out = { 0 };
	static const char zeros[1 << 17];
	struct fuse_read_in in;

	switch (op) {
	case FUSE_INIT:
		reply(fd, unique, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		attr_of(node, &attr.attr);
		reply(fd, unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_LOOKUP:
		attr_of(2, &entry.attr);
		reply(fd, unique, strcmp(name, "x.img") ? ENOENT : 0, &entry,
		      strcmp(name, "x.img") ? 0 : sizeof(entry));
		break;
	case FUSE_OPEN:
		reply(fd, unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		memcpy(&in, name, sizeof(in));
		reply(fd, unique, 0, zeros, in.size < sizeof(zeros) ? in.size : sizeof(zeros));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(fd, unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, unique, ENOSYS, NULL, 0);
	}
}

static void take(int fd, int hangs)
{
	static char request[1 << 17];
	ssize_t n = read(fd, request, sizeof(request) - 1);
	struct fuse_in_header h;

	if (n < (ssize_t)sizeof(h)) {
		if (n < 0 && errno == ENODEV)
			_exit(0); /* unmounted */
		return;
	}
	memcpy(&h, request, sizeof(h));
	request[n] = 0;
	if (!hangs) {
		answer(fd, h.opcode, h.unique, h.nodeid, request + sizeof(h));
	} else if (n_kept < KEPT_MAX && h.opcode != FUSE_FORGET && h.opcode != FUSE_INTERRUPT) {
		kept[n_kept].unique = h.unique;
		kept[n_kept].node = h.nodeid;
		kept[n_kept].op = h.opcode;
		memcpy(kept[n_kept].name, request + sizeof(h), sizeof(kept[n_kept].name) - 1);
		n_kept++;
	}
}

int main(int argc, char **argv)
{
	int fd = open("/dev/fuse", O_RDWR), sig, hangs = 0;
	struct signalfd_siginfo si;
	char opts[80];
	sigset_t set;

	if (argc != 2 || fd < 0)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig = signalfd(-1, &set, 0);
	(void)mkdir(argv[1], 0755);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (mount("hang", argv[1], "fuse", 0, opts) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = sig, .events = POLLIN } };

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents && read(sig, &si, sizeof(si)) == sizeof(si)) {
			hangs = si.ssi_signo == SIGUSR1;
			for (; !hangs && n_kept; n_kept--)
				answer(fd, kept[n_kept - 1].op, kept[n_kept - 1].unique, kept[n_kept - 1].node,
				       kept[n_kept - 1].name);
		}
		if (p[0].revents)
			take(fd, hangs);
	}
}
