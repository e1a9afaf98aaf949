/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments by signature: see vdargs.h. */
#include "config.h"
#include "virtd/vdargs.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define DOM_BYTES_MIN   24u /* on the wire: an empty name, uuid, id */
#define TEXT_BYTES_MIN  4u  /* an empty one */
#define PARAM_BYTES_MIN 12u /* an empty field, type, 32 bits */

static void dom_read(struct xdr *x, struct vd_dom *d)
{
	const uint8_t *uuid;

	d->name = xdr_string(x);
	uuid = xdr_fixed(x, XDR_UUID);
	if (uuid)
		memcpy(d->uuid, uuid, XDR_UUID);
	d->id = (int32_t)xdr_u32(x);
}

static void param_read(struct xdr *x, struct vd_param *p)
{
	uint64_t bits;

	p->field = xdr_string(x);
	p->type = (enum vd_param_type)xdr_u32(x);
	switch (p->type) {
	case VD_INT:
	case VD_UINT:
	case VD_BOOL:
		p->v.u = xdr_u32(x);
		return;
	case VD_LLONG:
	case VD_ULLONG:
		p->v.ul = xdr_u64(x);
		return;
	case VD_DOUBLE:
		bits = xdr_u64(x);
		memcpy(&p->v.d, &bits, sizeof(bits));
		return;
	case VD_STRING:
		p->v.s = xdr_string(x);
		return;
	default:
		p->type = VD_INT; /* it owns nothing */
		x->bad = true;
	}
}

/* How many follow. No more than there can be in what is left, so that memory is bounded by the message. */
static void *array_of(struct xdr *x, size_t max, size_t wire_min, size_t bytes, size_t *ret_n)
{
	uint32_t n = xdr_u32(x);
	void *p;

	if (n > max || n > x->left / wire_min)
		x->bad = true;
	if (x->bad || !n)
		return NULL;
	p = calloc(n, bytes);
	if (!p) {
		x->bad = true;
		return NULL;
	}
	*ret_n = n;
	return p;
}

static void domains_read(struct xdr *x, struct vd_arg *a)
{
	if (a->kind == 'A') {
		a->dom = array_of(x, VD_DOMAINS_MAX, DOM_BYTES_MIN, sizeof(*a->dom), &a->n);
	} else if (a->kind == 'D' || (a->u = xdr_u32(x) != 0)) {
		a->dom = calloc(1, sizeof(*a->dom));
		a->n = a->dom ? 1 : 0;
		x->bad |= !a->dom;
	}
	for (size_t i = 0; i < a->n && !x->bad; i++)
		dom_read(x, &a->dom[i]);
}

static void arg_read(struct xdr *x, struct vd_arg *a)
{
	const uint8_t *p;

	switch (a->kind) {
	case 'i':
	case 'u':
		a->u = xdr_u32(x);
		return;
	case 'l':
		a->l = xdr_u64(x);
		return;
	case 's':
		a->s = xdr_string(x);
		return;
	case 'S':
		a->u = xdr_opt_string(x, &a->s) && a->s;
		return;
	case 'U':
		p = xdr_fixed(x, XDR_UUID);
		if (p)
			memcpy(a->uuid, p, XDR_UUID);
		return;
	case 'o':
		a->octets = xdr_opaque(x, XDR_STRING_MAX, &a->n);
		return;
	case 'P':
		a->param = array_of(x, VD_PARAMS_MAX, PARAM_BYTES_MIN, sizeof(*a->param), &a->n);
		for (size_t i = 0; i < a->n && !x->bad; i++)
			param_read(x, &a->param[i]);
		return;
	case 'T':
		a->text = array_of(x, VD_TEXTS_MAX, TEXT_BYTES_MIN, sizeof(*a->text), &a->n);
		for (size_t i = 0; i < a->n && !x->bad; i++)
			a->text[i] = xdr_string(x);
		return;
	case 'N':
		a->u = xdr_u32(x);
		x->bad |= a->u > VD_NUMBERS_MAX;
		for (; !x->bad && a->n < a->u; a->n++)
			a->number[a->n] = xdr_u32(x);
		return;
	default: /* D, O, A */
		domains_read(x, a);
	}
}

int vd_args_read(const char *sig, const void *p, size_t len, struct vd_args *ret, struct err *err)
{
	struct xdr x = xdr_of(p, len);
	struct vd_args a = { 0 };

	for (; sig[a.n] && a.n < VD_ARGS_MAX && !x.bad; a.n++) {
		a.arg[a.n].kind = sig[a.n];
		arg_read(&x, &a.arg[a.n]);
	}
	if (!x.bad && !x.left) {
		*ret = a;
		return 0;
	}
	vd_args_done(&a);
	return err_set(err, EBADMSG, "Unable to decode message payload: %s",
	               x.bad ? "it is short, or beyond a limit" : "there are octets behind it");
}

void vd_args_done(struct vd_args *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct vd_arg *g = &a->arg[i];

		free(g->s);
		for (size_t k = 0; g->dom && k < g->n; k++)
			free(g->dom[k].name);
		free(g->dom);
		for (size_t k = 0; g->param && k < g->n; k++) {
			free(g->param[k].field);
			if (g->param[k].type == VD_STRING)
				free(g->param[k].v.s);
		}
		free(g->param);
		for (size_t k = 0; g->text && k < g->n; k++)
			free(g->text[k]);
		free(g->text);
	}
	memset(a, 0, sizeof(*a));
}

static const struct vd_param *find(const struct vd_arg *a, const char *field)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->param[i].field, field))
			return &a->param[i];
	return NULL;
}

const char *vd_param_text(const struct vd_arg *a, const char *field)
{
	const struct vd_param *p = find(a, field);

	return p && p->type == VD_STRING ? p->v.s : NULL;
}

bool vd_param_number(const struct vd_arg *a, const char *field, uint64_t *ret)
{
	const struct vd_param *p = find(a, field);

	if (!p)
		return true;
	switch (p->type) {
	case VD_UINT:
		*ret = p->v.u;
		return true;
	case VD_INT:
		*ret = (uint64_t)p->v.i;
		return p->v.i >= 0;
	case VD_ULLONG:
	case VD_LLONG:
		*ret = p->v.ul;
		return p->type == VD_ULLONG || p->v.l >= 0;
	default:
		return false;
	}
}

void vd_put_dom(struct buf *b, const char *name, const uint8_t uuid[XDR_UUID], int32_t id)
{
	xdr_put_string(b, name);
	xdr_put_fixed(b, uuid, XDR_UUID);
	xdr_put_u32(b, (uint32_t)id);
}

struct vd_list vd_list_begin(struct buf *b)
{
	struct vd_list l = { .b = b, .at = b->len };

	xdr_put_u32(b, 0);
	return l;
}

void vd_list_end(struct vd_list *l)
{
	uint32_t n = htobe32(l->n);

	if (!l->b->failed)
		memcpy(l->b->data + l->at, &n, sizeof(n));
}

static void put_field(struct vd_list *l, const char *field, enum vd_param_type type)
{
	xdr_put_string(l->b, field);
	xdr_put_u32(l->b, type);
	l->n++;
}

void vd_put_int(struct vd_list *l, const char *field, int32_t v)
{
	put_field(l, field, VD_INT);
	xdr_put_u32(l->b, (uint32_t)v);
}

void vd_put_uint(struct vd_list *l, const char *field, uint32_t v)
{
	put_field(l, field, VD_UINT);
	xdr_put_u32(l->b, v);
}

void vd_put_ullong(struct vd_list *l, const char *field, uint64_t v)
{
	put_field(l, field, VD_ULLONG);
	xdr_put_u64(l->b, v);
}

void vd_put_bool(struct vd_list *l, const char *field, bool v)
{
	put_field(l, field, VD_BOOL);
	xdr_put_u32(l->b, v);
}

void vd_put_text(struct vd_list *l, const char *field, const char *v)
{
	put_field(l, field, VD_STRING);
	xdr_put_string(l->b, v);
}
