/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs inside the guest of devboot: bulk TCP in both directions and disk I/O in awkward shapes, with the rate on stdout.
 *   devguest send|recv ADDRESS PORT MIB      devguest disk DEVICE MIB
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1u << 20)

static void die(const char *what)
{
	printf("FAILED %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int tcp(const char *addr, const char *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, addr, &sa.sin_addr);
	if (s < 0 || connect(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("connect");
	return s;
}

/* The stream is the octet counter modulo 251, so that any loss, double or reordering shows. */
static void fill(uint8_t *p, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) % 251);
}

static void bulk(const char *mode, const char *addr, const char *port, uint64_t mib)
{
	uint64_t total = mib << 20, at = 0;
	uint8_t *buf = malloc(CHUNK + 251), *want = malloc(CHUNK + 251);
	int s = tcp(addr, port);
	double t0 = now();

	/* one pattern, entered at the right phase: no work per octet on the sending side */
	fill(want, CHUNK + 251, 0);
	while (at < total) {
		size_t n = total - at < CHUNK ? (size_t)(total - at) : CHUNK;
		ssize_t r = mode[0] == 's' ? write(s, want + at % 251, n) : read(s, buf, n);
		if (r <= 0)
			die(mode);
		if (mode[0] == 'r' && memcmp(buf, want + at % 251, (size_t)r))
			die("stream content");
		at += (uint64_t)r;
	}
	shutdown(s, SHUT_WR);
	if (mode[0] == 's' && read(s, buf, 1) != 1)
		die("acknowledgement");
	printf("%s %.0f MB/s\n", mode, (double)total / 1e6 / (now() - t0));
}

/* Write and read back at odd lengths and alignments through O_DIRECT, flush, discard, zero. */
static void disk(const char *dev, uint64_t mib)
{
	int fd = open(dev, O_RDWR | O_DIRECT);
	uint64_t range[2], size = mib << 20;
	uint8_t *a = aligned_alloc(4096, 2 * CHUNK), *b = aligned_alloc(4096, 2 * CHUNK);

	if (fd < 0)
		die(dev);
	double t0 = now();
	uint64_t moved = 0;
	for (unsigned i = 0; i < 200; i++) {
		size_t len = 512u * (1 + (i * 37u) % 1500u), shift = 512u * (i % 7);
		off_t at = (off_t)(((uint64_t)i * 7919u * 512u) % (size - 2 * CHUNK));
		if (getrandom(a, 256, 0) != 256)
			die("getrandom");
		fill(a + 256, len + shift - 256 + 512, i);
		if (pwrite(fd, a + shift, len, at) != (ssize_t)len)
			die("pwrite");
		if (i % 16 == 0 && fsync(fd) < 0)
			die("fsync");
		memset(b, 0xee, len + shift);
		if (pread(fd, b + shift, len, at) != (ssize_t)len)
			die("pread");
		if (memcmp(a + shift, b + shift, len))
			die("disk content");
		moved += 2 * len;
	}
	range[0] = 1 << 20;
	range[1] = 1 << 20;
	if (ioctl(fd, BLKZEROOUT, range) < 0)
		die("BLKZEROOUT");
	if (pread(fd, b, CHUNK, 1 << 20) != (ssize_t)CHUNK)
		die("pread");
	for (size_t i = 0; i < CHUNK; i++)
		if (b[i])
			die("zeroed range");
	if (ioctl(fd, BLKDISCARD, range) < 0)
		die("BLKDISCARD");
	uint64_t end;
	if (ioctl(fd, BLKGETSIZE64, &end) < 0 || end != 64u << 20 || pread(fd, b, 512, (off_t)end) != 0)
		die("end of the disk");
	printf("disk %.0f MB/s\n", (double)moved / 1e6 / (now() - t0));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && (!strcmp(argv[1], "send") || !strcmp(argv[1], "recv")))
		bulk(argv[1], argv[2], argv[3], strtoull(argv[4], NULL, 10));
	else if (argc == 4 && !strcmp(argv[1], "disk"))
		disk(argv[2], strtoull(argv[3], NULL, 10));
	else
		return 2;
	return 0;
}
