/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small VNC client (RFC 6143) for tests: rfb PLACE [PASSWORD] [hold | stall]. PLACE: a Unix socket's path, or ADDRESS:DISPLAY as vmctl
 * vncdisplay writes it. Says "security N WIDTHxHEIGHT NAME" and ends; or "refused: WHY", status 1. hold: then reads what the server draws
 * until the connection is cut, and says "cut after N octets"; stall: asks for pictures and never reads one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_FIRST 5900
#define BITS28     0xfffffffu

/* DES, FIPS 46-3: as much as a challenge needs. Bits are counted from 1, the most significant one, as there. --------------- */

static const uint8_t ip[] = { 58, 50, 42, 34, 26, 18, 10, 2,  60, 52, 44, 36, 28, 20, 12, 4,  62, 54, 46, 38, 30, 22,
	                      14, 6,  64, 56, 48, 40, 32, 24, 16, 8,  57, 49, 41, 33, 25, 17, 9,  1,  59, 51, 43, 35,
	                      27, 19, 11, 3,  61, 53, 45, 37, 29, 21, 13, 5,  63, 55, 47, 39, 31, 23, 15, 7 };
static const uint8_t fp[] = { 40, 8,  48, 16, 56, 24, 64, 32, 39, 7,  47, 15, 55, 23, 63, 31, 38, 6,  46, 14, 54, 22,
	                      62, 30, 37, 5,  45, 13, 53, 21, 61, 29, 36, 4,  44, 12, 52, 20, 60, 28, 35, 3,  43, 11,
	                      51, 19, 59, 27, 34, 2,  42, 10, 50, 18, 58, 26, 33, 1,  41, 9,  49, 17, 57, 25 };
static const uint8_t expand[] = { 32, 1,  2,  3,  4,  5,  4,  5,  6,  7,  8,  9,  8,  9,  10, 11,
	                          12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20, 21, 20, 21,
	                          22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1 };
static const uint8_t mix[] = { 16, 7, 20, 21, 29, 12, 28, 17, 1,  15, 23, 26, 5,  18, 31, 10,
	                       2,  8, 24, 14, 32, 27, 3,  9,  19, 13, 30, 6,  22, 11, 4,  25 };
static const uint8_t pc1[] = { 57, 49, 41, 33, 25, 17, 9,  1,  58, 50, 42, 34, 26, 18, 10, 2,  59, 51, 43,
	                       35, 27, 19, 11, 3,  60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7,  62, 54,
	                       46, 38, 30, 22, 14, 6,  61, 53, 45, 37, 29, 21, 13, 5,  28, 20, 12, 4 };
static const uint8_t pc2[] = { 14, 17, 11, 24, 1,  5,  3,  28, 15, 6,  21, 10, 23, 19, 12, 4,
	                       26, 8,  16, 7,  27, 20, 13, 2,  41, 52, 31, 37, 47, 55, 30, 40,
	                       51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32 };
static const char box[8][65] = { /* row by row */
	                         "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
	                         "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
	                         "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
	                         "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
	                         "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
	                         "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
	                         "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
	                         "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b"
};

static uint64_t permute(uint64_t in, unsigned in_bits, const uint8_t *p, unsigned n)
{
	uint64_t out = 0;

	for (unsigned i = 0; i < n; i++)
		out = out << 1 | (in >> (in_bits - p[i]) & 1);
	return out;
}

static uint32_t round_of(uint32_t half, uint64_t key)
{
	uint64_t in = permute(half, 32, expand, sizeof(expand)) ^ key;
	uint32_t out = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned six = in >> (42 - 6 * i) & 63, row = (six >> 4 & 2) | (six & 1), col = six >> 1 & 15;
		char c = box[i][row * 16 + col];
		out = out << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return (uint32_t)permute(out, 32, mix, sizeof(mix));
}

static uint64_t des(uint64_t key, uint64_t block)
{
	uint64_t k = permute(key, 64, pc1, sizeof(pc1)), b = permute(block, 64, ip, sizeof(ip));
	uint32_t c = k >> 28 & BITS28, d = k & BITS28, left = (uint32_t)(b >> 32), right = (uint32_t)b;

	for (unsigned i = 0; i < 16; i++) {
		unsigned by = i == 0 || i == 1 || i == 8 || i == 15 ? 1 : 2;
		c = (c << by | c >> (28 - by)) & BITS28;
		d = (d << by | d >> (28 - by)) & BITS28;
		uint32_t next = left ^ round_of(right, permute((uint64_t)c << 28 | d, 56, pc2, sizeof(pc2)));
		left = right;
		right = next;
	}
	return permute((uint64_t)right << 32 | left, 64, fp, sizeof(fp));
}

/* RFC 6143, 7.2.2; the bits of each character of the key are in reverse, as all have it (erratum 4951). */
static void answer(uint8_t challenge[16], const char *password)
{
	uint64_t key = 0, block;
	size_t len = strlen(password);

	for (size_t i = 0; i < 8; i++) {
		uint8_t c = i < len ? (uint8_t)password[i] : 0, r = 0;
		for (int bit = 0; bit < 8; bit++)
			r = (uint8_t)(r << 1 | (c >> bit & 1));
		key = key << 8 | r;
	}
	for (size_t h = 0; h < 16; h += 8) {
		block = 0;
		for (size_t i = 0; i < 8; i++)
			block = block << 8 | challenge[h + i];
		block = des(key, block);
		for (size_t i = 0; i < 8; i++)
			challenge[h + i] = (uint8_t)(block >> (56 - 8 * i));
	}
}

/* Protocol ---------------------------------------------------------------------------------------------------------------- */

static void fail(const char *what)
{
	printf("refused: %s\n", what);
	exit(1);
}

static void get(int fd, void *p, size_t len)
{
	uint8_t *to = p;

	while (len) {
		ssize_t n = read(fd, to, len);
		if (n <= 0)
			fail(n < 0 ? strerror(errno) : "the connection is cut");
		to += n;
		len -= (size_t)n;
	}
}

static uint32_t get_u32(int fd)
{
	uint32_t v;

	get(fd, &v, sizeof(v));
	return ntohl(v);
}

static void put(int fd, const void *p, size_t len)
{
	if (send(fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("the connection is cut");
}

static void refused_by(int fd)
{
	char text[200] = "";
	uint32_t len = get_u32(fd);

	get(fd, text, len < sizeof(text) ? len : sizeof(text) - 1);
	fail(text);
}

static int connect_to(const char *place)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct sockaddr_in a = { .sin_family = AF_INET };
	char address[64] = "";
	unsigned display = 0;
	bool tcp = *place != '/';
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);

	if (tcp &&
	    (sscanf(place, "%63[0-9.]:%u", address, &display) != 2 || inet_pton(AF_INET, address, &a.sin_addr) != 1))
		fail("this is no place");
	a.sin_port = htons((uint16_t)(PORT_FIRST + display));
	snprintf(u.sun_path, sizeof(u.sun_path), "%s", place);
	if (fd < 0 || connect(fd, tcp ? (struct sockaddr *)&a : (struct sockaddr *)&u, tcp ? sizeof(a) : sizeof(u)) < 0)
		fail(strerror(errno));
	return fd;
}

static void shake_hands(int fd, const char *password)
{
	uint8_t version[12], n, type[255], challenge[16], init[20];
	uint8_t want = password ? 2 : 1;
	char name[200] = "";

	get(fd, version, sizeof(version));
	if (memcmp(version, "RFB 003.008\n", sizeof(version)) != 0)
		fail("the server does not speak RFB 3.8");
	put(fd, version, sizeof(version));
	get(fd, &n, 1);
	if (!n)
		refused_by(fd);
	get(fd, type, n);
	if (!memchr(type, want, n))
		fail(password ? "no password is asked for" : "a password is asked for");
	put(fd, &want, 1);
	if (password) {
		get(fd, challenge, sizeof(challenge));
		answer(challenge, password);
		put(fd, challenge, sizeof(challenge));
	}
	if (get_u32(fd))
		refused_by(fd);
	put(fd, "\1", 1); /* others may stay */
	get(fd, init, sizeof(init));
	uint32_t len = get_u32(fd);
	get(fd, name, len < sizeof(name) ? len : sizeof(name) - 1);
	printf("security %u %ux%u %s\n", want, init[0] << 8 | init[1], init[2] << 8 | init[3], name);
	fflush(stdout);
}

static void ask_all(int fd, uint8_t incremental)
{
	const uint8_t m[] = { 3, incremental, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

	put(fd, m, sizeof(m));
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[argc - 1] : "";
	bool hold = !strcmp(mode, "hold"), stall = !strcmp(mode, "stall");
	int n = argc - (hold || stall);
	unsigned long octets = 0;
	char buf[65536];
	ssize_t got;

	if (n < 2 || n > 3) {
		fputs("usage: rfb PLACE [PASSWORD] [hold | stall]\n", stderr);
		return 2;
	}
	int fd = connect_to(argv[1]);
	shake_hands(fd, n == 3 ? argv[2] : NULL);
	if (stall)
		for (;;) {
			ask_all(fd, 0);
			usleep(10000);
		}
	if (!hold)
		return 0;
	ask_all(fd, 0);
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		octets += (unsigned long)got;
	printf("cut after %lu octets\n", octets);
	return 0;
}
