/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by vmclus_top.c (terminal, keys, reports) and vmclus_topdraw.c (the screen). One thread. */
#ifndef HOSPES_TOOLS_VMCLUS_TOP_INT_H
#define HOSPES_TOOLS_VMCLUS_TOP_INT_H

#include "tools/vmclus_int.h"

enum top_sort { TOP_BY_NAME, TOP_BY_HOST, TOP_BY_STATE, TOP_BY_CPU, TOP_BY_MEM };

struct top {
	struct jsonconn conn;     /* fd -1: clusterd is not connected */
	json_t *status;           /* the last report; NULL: none yet */
	uint64_t heard_ns;        /* when the last report came, or the connection was made */
	json_t *since;            /* by name of a migrating domain: now_ns() when a report first said so */
	char trouble[ERR_TEXT_MAX]; /* why no newer report comes; empty: they come */
	enum top_sort sort;
	bool reverse;
	long selected, first;     /* rows of the list of domains: the chosen one, the topmost shown; top_draw() corrects both */
	unsigned rows, cols;
};

/* Append a whole screen of at most t->rows lines to @b. */
void top_draw(struct top *t, struct buf *b);

#endif
