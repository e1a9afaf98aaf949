/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qasked.h. */
#include "config.h"
#include "hypervisor/qemu/qasked.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"

static void stamp(char text[200], const char *path)
{
	struct stat st;

	text[0] = 0;
	if (stat(path, &st) == 0)
		snprintf(text, 200, "%lx:%lx %lx %lx %o %ld.%09ld %ld.%09ld", (unsigned long)st.st_dev,
		         (unsigned long)st.st_ino, (unsigned long)st.st_rdev, (unsigned long)st.st_size, st.st_mode,
		         (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

void qasked_about(struct qasked *q, const char *program, bool kvm, const char *question)
{
	char file[200], node[200] = "";
	_cleanup_free_ char *boot = NULL;

	q->key[0] = 0;
	stamp(file, program);
	if (kvm)
		stamp(node, "/dev/kvm");
	if (geteuid() != 0 || !file[0] || file_read("/proc/sys/kernel/random/boot_id", 64, &boot, NULL) < 0)
		return;
	/* lengths, so that no text can be taken for another one */
	int n = snprintf(q->key, sizeof(q->key), "1 %zu %zu %s\n%s\n%s\n%s\n%s\n", strlen(program), strlen(question),
	                 program, question, file, node, boot);
	if (n < 0 || (size_t)n >= sizeof(q->key))
		q->key[0] = 0;
}

#define PLACES 4u /* that an answer may have: a few questions at once do not push each other out */

static char *place(const struct qasked *q, unsigned i)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (const char *p = q->key; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return xasprintf("%s/qemu-asked/%02u", path_run(), (h + i * (1 + (h >> 16) % 13)) % QASKED_FILES);
}

/* Root's, and nobody else's to write. */
static bool is_roots(int fd, mode_t type)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && !st.st_uid && !(st.st_mode & 0022);
}

static bool known_at(const struct qasked *q, unsigned i, char *buf, size_t len)
{
	_cleanup_free_ char *path = place(q, i), *text = NULL;
	size_t key = strlen(q->key), have = 0;

	if (!path)
		return false;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || !is_roots(fd, S_IFREG))
		return false;
	text = calloc(1, sizeof(q->key) + QASKED_MAX);
	ssize_t n = text ? pread(fd, text, sizeof(q->key) + QASKED_MAX - 1, 0) : -1;
	have = n > 0 ? (size_t)n : 0;
	if (have <= key || strlen(text) != have || strncmp(text, q->key, key) != 0)
		return false;
	snprintf(buf, len, "%s", text + key);
	return true;
}

bool qasked_known(const struct qasked *q, char *buf, size_t len)
{
	bool known = false;

	for (unsigned i = 0; q->key[0] && i < PLACES && !known; i++)
		known = known_at(q, i, buf, len);
	return known;
}

/* One that is free, else the first; NULL: out of memory. */
static char *choose(const struct qasked *q)
{
	for (unsigned i = 0; i < PLACES; i++) {
		char *path = place(q, i);

		if (!path || access(path, F_OK) < 0)
			return path;
		free(path);
	}
	return place(q, 0);
}

void qasked_keep(const struct qasked *q, const char *program, bool kvm, const char *question, const char *answer)
{
	struct qasked now;

	qasked_about(&now, program, kvm, question);
	if (!q->key[0] || strcmp(q->key, now.key) != 0 || !answer[0] || strlen(answer) >= QASKED_MAX)
		return;
	_cleanup_free_ char *path = choose(q), *dir = xasprintf("%s/qemu-asked", path_run()),
			    *text = xasprintf("%s%s", q->key, answer);
	if (!path || !dir || !text || mkdir_p(dir, 0700) < 0)
		return;
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && is_roots(fd, S_IFDIR))
		(void)!file_write_atomic(path, text, strlen(text), 0600);
}
