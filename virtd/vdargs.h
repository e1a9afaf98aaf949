/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arguments of a call, read by its procedure's signature, one letter each. Adding a procedure needs no reader of
 * its own.
 *
 * i u   32 bits, signed or not          s   string              D   domain (name, uuid, id) l     64 bits
 * S   optional string     O   optional domain U     uuid                            o   opaque octets       P   typed
 * parameters A     array of domains        T   array of strings   N     array of numbers
 */
#ifndef HOSPES_VIRTD_VDARGS_H
#define HOSPES_VIRTD_VDARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "virtd/vdxdr.h"

#define VD_ARGS_MAX    8u
#define VD_PARAMS_MAX  64u
#define VD_DOMAINS_MAX 16384u
#define VD_TEXTS_MAX   256u
#define VD_NUMBERS_MAX 16u

/* A domain on the wire. */
struct vd_dom {
	char *name;            /* owned */
	uint8_t uuid[XDR_UUID];
	int32_t id;            /* -1: shut off */
};

enum vd_param_type { VD_INT = 1, VD_UINT, VD_LLONG, VD_ULLONG, VD_DOUBLE, VD_BOOL, VD_STRING };

struct vd_param {
	char *field;           /* owned */
	enum vd_param_type type;
	union {
		int32_t i;
		uint32_t u;
		int64_t l;
		uint64_t ul;
		double d;
		char *s;       /* owned */
	} v;
};

struct vd_arg {
	char kind;             /* the letter */
	uint32_t u;            /* i, u; S, O: 1 if it is there */
	uint64_t l;
	char *s;               /* s, S (NULL: absent); owned */
	struct vd_dom *dom;    /* D, O (NULL: absent), A; owned, n of them */
	struct vd_param *param;/* P; owned, n of them */
	char **text;           /* T; owned, n of them */
	uint32_t number[VD_NUMBERS_MAX]; /* N; n of them */
	size_t n;
	uint8_t uuid[XDR_UUID];
	const uint8_t *octets; /* o, n of them; borrowed from the message */
};

struct vd_args {
	struct vd_arg arg[VD_ARGS_MAX];
	size_t n;
};

/* Read all of @p by @sig. -EBADMSG: it is short, long, or beyond a limit; -ENOMEM. Then nothing is to be done. */
int vd_args_read(const char *sig, const void *p, size_t len, struct vd_args *ret, struct err *err) _must_check_;
void vd_args_done(struct vd_args *a);
/* The string parameter @field, NULL if there is none. */
const char *vd_param_text(const struct vd_arg *a, const char *field);
/* The number of @field; @ret untouched if there is none. False: it is no number, or negative. */
bool vd_param_number(const struct vd_arg *a, const char *field, uint64_t *ret);

void vd_put_dom(struct buf *b, const char *name, const uint8_t uuid[XDR_UUID], int32_t id);

/* A list of typed parameters under way: the count comes first on the wire. */
struct vd_list {
	struct buf *b;
	size_t at;             /* where the count is */
	uint32_t n;
};

struct vd_list vd_list_begin(struct buf *b);
void vd_list_end(struct vd_list *l);
void vd_put_int(struct vd_list *l, const char *field, int32_t v);
void vd_put_uint(struct vd_list *l, const char *field, uint32_t v);
void vd_put_ullong(struct vd_list *l, const char *field, uint64_t v);
void vd_put_bool(struct vd_list *l, const char *field, bool v);
void vd_put_text(struct vd_list *l, const char *field, const char *v);

#endif
