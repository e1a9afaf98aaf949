/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small helpers: see util.h. No state but the environment; any thread. */
#include "config.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define SOCK_FDS_MAX 16u

uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int read_full(int fd, void *p, size_t len)
{
	uint8_t *to = p;

	while (len) {
		ssize_t n = read(fd, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

int write_full(int fd, const void *p, size_t len)
{
	const uint8_t *from = p;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (cap - len < 2) {
			size_t want = cap ? cap * 2 : 8192;
			char *p = realloc(data, want);

			if (!p)
				return -ENOMEM;
			data = p;
			cap = want;
		}
		n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	data[len] = 0;
	*ret = steal_ptr(&data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int fsync_dir_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_write_atomic(const char *path, const void *p, size_t len, mode_t mode)
{
	_cleanup_free_ char *tmp = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode) < 0 ? -errno : 0;
	if (!r)
		r = write_full(fd, p, len);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return fsync_dir_of(path);
}

int mkdir_p(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	if (!*copy)
		return -ENOENT;
	for (char *s = copy + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = 0;
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return -errno;
	if (stat(copy, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int sock_send_fds(int fd, const void *p, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
	} ctl;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > SOCK_FDS_MAX || !len)
		return -EINVAL;
	if (n_fds) {
		struct cmsghdr *c = &ctl.align;

		memset(&ctl, 0, sizeof(ctl));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
		msg.msg_control = &ctl;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < len) /* a stream socket took a part; the descriptors went with its first octet */
		return write_full(fd, (const uint8_t *)p + n, len - (size_t)n);
	return 0;
}

/* Sort what came with a message into @fds (room for @max) and the bin. Returns the count kept. */
static size_t take_fds(struct msghdr *msg, int *fds, size_t max, bool *over)
{
	size_t kept = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (kept < max) {
				fds[kept++] = got;
			} else {
				close(got);
				*over = true;
			}
		}
	}
	return kept;
}

ssize_t sock_recv_fds(int fd, void *p, size_t len, int *fds, size_t *n_fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
	} ctl;
	struct iovec iov = { .iov_base = p, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	size_t room = n_fds ? *n_fds : 0, kept;
	bool over = false;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	kept = take_fds(&msg, fds, room, &over);
	if (over || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < kept; i++)
			close(fds[i]);
		if (n_fds)
			*n_fds = 0;
		return -EMSGSIZE;
	}
	if (n_fds)
		*n_fds = kept;
	return n;
}

int sock_listen(const char *path, int type, int backlog, const char *who, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int probe = -1, fd = -1;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(a.sun_path, path);
	probe = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof(a)) == 0)
		return err_set(err, EADDRINUSE, "another %s serves %s", who, path);
	unlink(path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	int r = fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, backlog) < 0 ? -errno : 0;
	umask(old);
	return r < 0 ? err_sys(err, r, "listen on %s", path) : steal_fd(&fd);
}

/* Octets of the character at @s; 0: not UTF-8. @ret_cut: it would be, if more came. */
static size_t utf8_len(const unsigned char *s, bool *ret_cut)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	*ret_cut = false;
	for (size_t i = 1; i < n; i++) {
		unsigned char low = 0x80, high = 0xbf;

		if (i == 1) /* no longer than needed, no surrogates, nothing above U+10FFFF */
			low = s[0] == 0xe0   ? 0xa0
			      : s[0] == 0xf0 ? 0x90
			                     : low,
			high = s[0] == 0xed   ? 0x9f
			       : s[0] == 0xf4 ? 0x8f
			                      : high;
		if (s[i] < low || s[i] > high) {
			*ret_cut = !s[i];
			return 0;
		}
	}
	return n;
}

void text_tidy(char *s)
{
	while (*s) {
		bool cut;
		size_t n = utf8_len((unsigned char *)s, &cut);

		if (cut) {
			*s = 0;
			return;
		}
		if (!n)
			*s = '?';
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
		else if ((unsigned char)*s == 0xc2 && (unsigned char)s[1] < 0xa0) /* C1 */
			s[0] = s[1] = ' ';
		s += n ? n : 1;
	}
}

bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len > 63 || *name == '.' || *name == '-')
		return false;
	for (const char *s = name; *s; s++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-", *s))
			return false;
	return true;
}

bool uuid_is_valid(const char *uuid)
{
	for (unsigned i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? uuid[i] != '-' : !uuid[i] || !strchr("0123456789abcdefABCDEF", uuid[i]))
			return false;
	}
	return !uuid[36];
}

/* Power of 1024 that @unit stands for, or -1. */
static int unit_power(const char *unit)
{
	static const char letters[] = "KMGTPE";
	const char *at;

	if (!*unit || !strcasecmp(unit, "B"))
		return 0;
	at = strchr(letters, toupper((unsigned char)*unit));
	if (!at || (unit[1] && strcasecmp(unit + 1, "iB") && strcasecmp(unit + 1, "B")))
		return -1;
	return (int)(at - letters) + 1;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	__uint128_t whole = 0, frac = 0, scale = 1, v;
	const char *s = text;
	int power;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		whole = whole * 10 + (unsigned)(*s - '0');
		if (whole > UINT64_MAX)
			return -ERANGE;
	}
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return -EINVAL;
		for (; isdigit((unsigned char)*s); s++) {
			if (scale >= 1000000) /* finer digits do not matter */
				continue;
			frac = frac * 10 + (unsigned)(*s - '0');
			scale *= 10;
		}
	}
	while (*s == ' ')
		s++;
	power = unit_power(s);
	if (power < 0 || (scale > 1 && !power))
		return -EINVAL;
	if (whole >> (64 - 10 * power))
		return -ERANGE;
	v = (whole << (10 * power)) + (frac << (10 * power)) / scale;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ret_bytes = (uint64_t)v;
	return 0;
}

char *size_format(uint64_t bytes, char *buf, size_t len)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t u = 0;

	while (u + 1 < ARRAY_SIZE(units) && bytes >> (10 * (u + 1)))
		u++;
	if (!u || !(bytes & ((1ull << (10 * u)) - 1)))
		snprintf(buf, len, "%llu %s", (unsigned long long)(bytes >> (10 * u)), units[u]);
	else
		snprintf(buf, len, "%.1f %s", (double)bytes / (double)(1ull << (10 * u)), units[u]);
	return buf;
}

static const char *path_of(const char *env, const char *fallback)
{
	const char *s = secure_getenv(env);

	return s && *s ? s : fallback;
}

const char *path_run(void)
{
	return path_of("HOSPES_RUNDIR", HOSPES_RUNDIR);
}

const char *path_state(void)
{
	return path_of("HOSPES_STATEDIR", HOSPES_STATEDIR);
}

const char *path_conf(void)
{
	return path_of("HOSPES_CONFDIR", HOSPES_CONFDIR);
}

const char *path_log(void)
{
	return path_of("HOSPES_LOGDIR", HOSPES_LOGDIR);
}

const char *path_doc(void)
{
	return HOSPES_DOCDIR;
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return s;
}

void signals_reset(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		signal(sigs[i], SIG_DFL);
}
