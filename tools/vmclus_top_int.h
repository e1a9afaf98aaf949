/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the two files of vmclus top: what is on the screen. */
#ifndef HOSPES_TOOLS_VMCLUS_TOP_INT_H
#define HOSPES_TOOLS_VMCLUS_TOP_INT_H

#include "tools/vmclus_int.h"

enum top_sort { TOP_BY_NAME, TOP_BY_HOST, TOP_BY_STATE, TOP_BY_CPU, TOP_BY_MEM };

struct top {
	struct jsonconn conn;  /* fd -1: clusterd is away */
	json_t *status;           /* the last report; NULL: none yet */
	uint64_t heard_ns;        /* when the last one came, or the connection was made */
	json_t *since;            /* of each migrating domain: now_ns() when it was first seen so */
	char trouble[ERR_TEXT_MAX]; /* why there is nothing newer; empty: all is well */
	enum top_sort sort;
	bool reverse;
	long selected, first;     /* rows of the list of domains: chosen, topmost shown; put right by top_draw() */
	unsigned rows, cols;
};

/* Append a whole frame, of t->rows lines at most. */
void top_draw(struct top *t, struct buf *b);

#endif
