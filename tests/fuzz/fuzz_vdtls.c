/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: what a process that a client took over says to hospes-virtd, and its name against patterns. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include "virtd/vdtlsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char p[VDTLS_MSG_MAX];
	struct vdtls_msg m, again;
	int r = vdtls_msg_read(data, len, &m);

	if (r < 0) {
		FUZZ_CHECK(r == -EBADMSG);
		return 0;
	}
	for (const char *s = m.text; *s; s++)
		FUZZ_CHECK((unsigned char)*s >= 0x20 && *s != 0x7f);
	FUZZ_CHECK(vdtls_dn_fits("*", m.text));
	FUZZ_CHECK(vdtls_dn_fits(m.text, m.text));
	(void)vdtls_dn_fits("*a?\\,*b*", m.text);
	FUZZ_CHECK(!vdtls_msg_read(p, vdtls_msg_write(m.kind, m.addr, m.text, p), &again));
	FUZZ_CHECK(again.kind == m.kind && !strcmp(again.addr, m.addr) && !strcmp(again.text, m.text));
	return 0;
}
