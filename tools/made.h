/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory that is made whole or not at all: an image with what is known of it, the disks of a new domain. While it is
 * being made it holds the file ".making", on which its maker has a lock. So a maker that died shows, whatever it died
 * of, and the next one removes what it left. Programs that a maker runs inherit the lock. Blocks on storage; prints
 * nothing.
 */
#ifndef HOSPES_TOOLS_MADE_H
#define HOSPES_TOOLS_MADE_H

#include <stdbool.h>
#include "common/cleanup.h"
#include "common/err.h"

struct made {
	char *dir;   /* its path; owned, NULL: none, or it is finished */
	int lock_fd; /* owned, not closed by exec */
};

/*
 * Make @parent (with those above) and begin to make @parent/@name. @note (a word, may be "") stays in its mark for
 * made_sweep(). -EEXIST: it is there, and whole; -EBUSY: another program is making it.
 */
int made_begin(const char *parent, const char *name, const char *note, struct made *ret, struct err *err) _must_check_;
/* It is whole now, durably: its files are to be synced before. */
int made_finish(struct made *m, struct err *err) _must_check_;
/* Remove it with all that is in it; nothing if it is finished or none. */
void made_undo(struct made *m);
static inline void cleanup_made(struct made *m)
{
	made_undo(m);
}
#define _cleanup_made_ __attribute__((cleanup(cleanup_made)))

/* What to do with one that its maker left: it is whole after all, it goes, or nobody can tell. */
enum made_fate { MADE_REMOVE, MADE_WHOLE, MADE_LEAVE };
/* For each of @parent that a dead maker left: do what @fate says (NULL: remove it). @note: as given to made_begin(). */
void made_sweep(const char *parent, enum made_fate (*fate)(void *arg, const char *name, const char *note), void *arg);
/* True if @parent/@name is there and nobody is, or died while, making it. */
bool made_is_whole(const char *parent, const char *name);
/*
 * Remove a whole one, with all that is in it; if this is interrupted, the next made_sweep() ends it. -EBUSY: in use, see
 * made_use(). -ENOENT.
 */
int made_remove(const char *parent, const char *name, struct err *err) _must_check_;
/* A descriptor (owned, CLOEXEC) while which is open a whole one is not removed. -ENOENT; -EBUSY: it is being removed. */
int made_use(const char *parent, const char *name, struct err *err) _must_check_;

#endif
