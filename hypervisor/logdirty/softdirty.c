/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Soft-dirty marks: see softdirty.h. What takes a page of a memory file out of a table, with its mark, in Linux 6.1 (mm/rmap.c, huge_memory.c,
 * khugepaged.c): reclaim, so there must be no swap; splitting, collapsing and failing to move a huge page, so there must be none; a hole,
 * which whoever makes it has to tell. A page that is moved keeps its mark, but a writable one that is on its way while marks are removed
 * stays writable. What marks it again is the entry's own "dirty", for which entries have no room where L1TF limits them. An entry that was only read has
 * none either, and is writable until marks were removed once: so they are removed before they count (qsoft.c).
 */
#include "config.h"
#include "hypervisor/logdirty/softdirty.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"

#define MARKED       (1ull << 55)
#define NOT_IN_PLACE (1ull << 62) /* swapped out or being moved */
#define TEXT_MAX     (256u << 10)
#define FIRST_MINOR  1u /* entries of pages that are moved have a "dirty" since 6.1 */
#define LAST_MINOR   6u

static char *read_text(const struct softdirty *s, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s%s", s->root, path);
	char *text = NULL;

	return file_read(full, TEXT_MAX, &text, NULL) < 0 ? NULL : text;
}

/* The number after @name, which begins a line. */
static bool number_of(const char *text, const char *name, uint64_t *ret)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && (line[len] == ' ' || line[len] == ':'))
			return sscanf(line + len, "%*[: ]%" SCNu64, ret) == 1;
		if (!*line)
			break;
	}
	return false;
}

/* What holds at this moment. NULL: nothing takes pages out. */
static const char *look(const struct softdirty *s, uint64_t *ret_scanned, uint64_t *ret_huge)
{
	_cleanup_free_ char *mem = read_text(s, "/proc/meminfo"), *stat = read_text(s, "/proc/vmstat"),
			    *shmem = read_text(s, "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
	uint64_t swap, huge = 0;

	*ret_huge = 0;
	if (!mem || !stat || !number_of(mem, "SwapTotal", &swap) || !number_of(stat, "pgscan_anon", ret_scanned))
		return "the kernel does not say whether it swaps";
	if (swap)
		return "this host swaps, which loses soft-dirty marks";
	/* a kernel without huge pages has neither the file nor the counters */
	(void)!number_of(mem, "ShmemHugePages", &huge);
	(void)!number_of(stat, "thp_file_alloc", ret_huge);
	if (huge || (shmem && !strstr(shmem, "[never]") && !strstr(shmem, "[deny]")))
		return "shared memory has huge pages here, which lose soft-dirty marks";
	return NULL;
}

/* The kernels whose source was read for this. Later ones have PAGEMAP_SCAN, and folios of more sizes. */
static bool right_kernel(const struct softdirty *s)
{
	_cleanup_free_ char *text = read_text(s, "/proc/sys/kernel/osrelease");
	unsigned minor;

	return text && sscanf(text, "6.%u", &minor) == 1 && minor >= FIRST_MINOR && minor <= LAST_MINOR;
}

int softdirty_begin(struct softdirty *s, const char *root, struct err *err)
{
	s->root = root;
	s->unsure = NULL;
	_cleanup_free_ char *l1tf = read_text(s, "/sys/devices/system/cpu/vulnerabilities/l1tf");

	if (!right_kernel(s))
		return err_set(err, ENOTSUP, "soft-dirty marks are relied on with Linux 6.%u to 6.%u only", FIRST_MINOR,
		               LAST_MINOR);
	if (!l1tf || strncmp(l1tf, "Not affected", 12) != 0)
		return err_set(err, ENOTSUP,
		               "this processor has L1TF, so that pages that the kernel moves lose soft-dirty marks");
	const char *why = look(s, &s->scanned, &s->huge);
	return why ? err_set(err, ENOTSUP, "%s", why) : 0;
}

bool softdirty_sure(struct softdirty *s)
{
	uint64_t scanned, huge;

	if (!s->unsure)
		s->unsure = look(s, &scanned, &huge);
	if (!s->unsure && (scanned != s->scanned || huge != s->huge))
		s->unsure = "the kernel swapped meanwhile, or made huge pages of shared memory";
	return !s->unsure;
}

int softdirty_has(int pagemap, uint64_t addr)
{
	uint64_t e;
	ssize_t n = pread(pagemap, &e, sizeof(e), (off_t)(addr / PAGE_BYTES * 8));

	return n < 0 ? -errno : n != sizeof(e) ? -EIO : (e & MARKED) != 0;
}

/* Entries of the first pages of [@start, @end). Their number, or -errno. */
static ssize_t read_entries(struct softdirty *s, int pagemap, uint64_t start, uint64_t end)
{
	uint64_t n = (end - start) / PAGE_BYTES;

	if (n > SOFTDIRTY_PAGES)
		n = SOFTDIRTY_PAGES;
	ssize_t got = pread(pagemap, s->entry, n * 8, (off_t)(start / PAGE_BYTES * 8));
	if (got < 0)
		return -errno;
	return got == (ssize_t)(n * 8) ? (ssize_t)n : -EIO;
}

int softdirty_read(struct softdirty *s, int pagemap, uint64_t start, uint64_t end,
                   void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg)
{
	for (uint64_t at = start, from = 0; at < end;) {
		ssize_t n = read_entries(s, pagemap, at, end);
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, at += PAGE_BYTES) {
			bool hit = s->entry[i] & (MARKED | NOT_IN_PLACE);
			if (hit && !from)
				from = at;
			if (!hit && from) {
				fn(arg, from, at);
				from = 0;
			}
		}
		if (at >= end && from)
			fn(arg, from, end);
	}
	return 0;
}

int softdirty_in_place(struct softdirty *s, int pagemap, uint64_t *at, uint64_t end)
{
	while (*at < end) {
		ssize_t n = read_entries(s, pagemap, *at, end);
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, *at += PAGE_BYTES)
			if (s->entry[i] & NOT_IN_PLACE)
				return 0;
	}
	return 0;
}

int softdirty_clear(int fd)
{
	return pwrite(fd, "4", 1, 0) == 1 ? 0 : -errno;
}
