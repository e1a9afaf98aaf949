/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: arguments of libvirt's procedures. The first octet chooses the procedure, and so the signature; the
 * rest is what a client sends.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include "virtd/virtd_int.h"

static void check_arg(const struct vd_arg *a)
{
	uint64_t n = 0;

	switch (a->kind) {
	case 's':
		FUZZ_CHECK(a->s && strlen(a->s) <= XDR_STRING_MAX);
		return;
	case 'D':
		FUZZ_CHECK(a->n == 1);
		/* fall through */
	case 'O':
	case 'A':
		FUZZ_CHECK(a->n <= (a->kind == 'A' ? VD_DOMAINS_MAX : 1));
		for (size_t i = 0; i < a->n; i++)
			FUZZ_CHECK(a->dom[i].name && strlen(a->dom[i].name) <= XDR_STRING_MAX);
		return;
	case 'P':
		FUZZ_CHECK(a->n <= VD_PARAMS_MAX);
		for (size_t i = 0; i < a->n; i++)
			FUZZ_CHECK(a->param[i].field && a->param[i].type >= VD_INT && a->param[i].type <= VD_STRING);
		(void)vd_param_text(a, "migrate_uri");
		(void)vd_param_number(a, "bandwidth", &n);
	}
}

/* What was read is what is written again, but for padding and kinds of true, which have one form here. */
static size_t bytes_of(const struct vd_args *args)
{
	size_t n = 0;

	for (size_t i = 0; i < args->n; i++) {
		const struct vd_arg *a = &args->arg[i];

		if (a->kind == 's' || (a->kind == 'S' && a->s))
			n += (strlen(a->s) + 3) & ~3ul;
		if (a->kind == 'o')
			n += (a->n + 3) & ~3ul;
		n += a->kind == 'l' ? 8 : a->kind == 'U' ? XDR_UUID : a->kind == 'D' ? 0 : 4;
		n += a->kind == 'S' && a->s ? 4 : 0;
		n += a->kind == 'N' ? a->n * 4 : 0;
		for (size_t k = 0; a->dom && k < a->n; k++)
			n += 4 + ((strlen(a->dom[k].name) + 3) & ~3ul) + XDR_UUID + 4;
		for (size_t k = 0; a->param && k < a->n; k++) {
			const struct vd_param *p = &a->param[k];

			n += 4 + ((strlen(p->field) + 3) & ~3ul) + 4;
			n += p->type == VD_STRING                          ? 4 + ((strlen(p->v.s) + 3) & ~3ul)
			     : p->type >= VD_LLONG && p->type <= VD_DOUBLE ? 8
			                                                   : 4;
		}
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t n;
	const struct vd_proc *all = vd_proc_all(&n);
	struct err err = { 0 };
	struct vd_args a;
	int r;

	if (!len)
		return 0;
	r = vd_args_read(all[data[0] % n].sig, data + 1, len - 1, &a, &err);
	if (r < 0) {
		FUZZ_CHECK(r == -EBADMSG && err.text[0]);
		return 0;
	}
	for (size_t i = 0; i < a.n; i++)
		check_arg(&a.arg[i]);
	FUZZ_CHECK(bytes_of(&a) == len - 1);
	vd_args_done(&a);
	return 0;
}
