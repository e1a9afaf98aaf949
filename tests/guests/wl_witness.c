/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The witness of the test guest: shows on a disk that all copies could write to that only one ever does. The sectors are described in
 * docs/testing-guests.md. Reads and writes go past the page cache; a copy that moved goes on where it was.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES       512
#define VIOLATION_SECTOR   1
#define FIRST_START_SECTOR 8
#define STARTS_KEPT        64

struct witness {
	int fd;
	char *io;                /* a page, for O_DIRECT */
	char mine[SECTOR_BYTES]; /* what I wrote last */
	unsigned long long starts;
};

static bool sector_read(struct wl_slot *s, struct witness *w, unsigned sector, char *to)
{
	memset(w->io, 0, SECTOR_BYTES);
	if (pread(w->fd, w->io, SECTOR_BYTES, (off_t)sector * SECTOR_BYTES) != SECTOR_BYTES) {
		wl_error(s, "witness: read sector %u: %s", sector, strerror(errno));
		return false;
	}
	memcpy(to, w->io, SECTOR_BYTES);
	to[SECTOR_BYTES - 1] = 0;
	return true;
}

static void sector_write(struct wl_slot *s, struct witness *w, unsigned sector, const char *text)
{
	memset(w->io, 0, SECTOR_BYTES);
	snprintf(w->io, SECTOR_BYTES, "%s", text);
	if (pwrite(w->fd, w->io, SECTOR_BYTES, (off_t)sector * SECTOR_BYTES) != SECTOR_BYTES)
		wl_error(s, "witness: write sector %u: %s", sector, strerror(errno));
}

static void violation(struct wl_slot *s, struct witness *w, const char *found)
{
	char text[SECTOR_BYTES];
	int n = snprintf(text, sizeof(text), "violation: generation %llu, boot %s, found %.200s",
	                 (unsigned long long)wl->generation, wl->boot_id, found);

	/* the text ends at the line of the other copy */
	for (int i = 0; i < n && i < (int)sizeof(text); i++)
		if (text[i] == '\n')
			text[i] = ' ';
	sector_write(s, w, VIOLATION_SECTOR, text);
	wl_error(s, "%s", text);
}

static void say_mine(struct wl_slot *s, struct witness *w)
{
	snprintf(w->mine, sizeof(w->mine), "hospes-witness %llu %llu %s %llu\n", w->starts,
	         (unsigned long long)wl->generation, wl->boot_id, (unsigned long long)s->count);
	sector_write(s, w, 0, w->mine);
}

static bool witness_start(struct wl_slot *s, struct witness *w)
{
	char found[SECTOR_BYTES], text[SECTOR_BYTES];
	unsigned long long generation = 0;
	void *p = NULL;

	w->fd = open(wl->witness, O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
	if (w->fd < 0 || posix_memalign(&p, WL_PAGE_BYTES, WL_PAGE_BYTES)) {
		wl_error(s, "witness: %s: %s", wl->witness, strerror(errno));
		return false;
	}
	w->io = p;
	if (!sector_read(s, w, 0, found))
		return false;
	if (sscanf(found, "hospes-witness %llu %llu ", &w->starts, &generation) == 2 && generation > wl->generation)
		violation(s, w, found);
	w->starts++;
	snprintf(text, sizeof(text), "start %llu generation %llu boot %s\n", w->starts,
	         (unsigned long long)wl->generation, wl->boot_id);
	sector_write(s, w, FIRST_START_SECTOR + (unsigned)(w->starts % STARTS_KEPT), text);
	say_mine(s, w);
	return true;
}

void wl_witness(struct wl_slot *s)
{
	struct witness w = { .fd = -1 };

	if (!witness_start(s, &w))
		return;
	for (;;) {
		char found[SECTOR_BYTES];

		if (wl->witness_ns)
			wl_sleep_ns(wl->witness_ns);
		if (sector_read(s, &w, 0, found) && strcmp(found, w.mine) != 0)
			violation(s, &w, found);
		atomic_fetch_add(&s->count, 1);
		say_mine(s, &w);
	}
}
