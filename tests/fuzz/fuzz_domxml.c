/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: domain XML. What is accepted is written, read again, and must then be written the same. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "hypervisor/api/domcfg.h"

/* What goes into QEMU's command line between commas holds none. */
static void check_words(const struct dom_config *c)
{
	const struct dom_hvm *h = &c->hvm;

	FUZZ_CHECK(!strpbrk(h->cpu.model, ",=") && h->cpu.n_features <= DOM_CPU_FEATURES_MAX);
	for (size_t i = 0; i < h->cpu.n_features; i++)
		FUZZ_CHECK(h->cpu.feature[i].name[0] && !strpbrk(h->cpu.feature[i].name, ",="));
	for (size_t i = 0; i < h->n_hyperv; i++)
		FUZZ_CHECK(h->hyperv[i].name[0] && !strpbrk(h->hyperv[i].name, ",=") &&
		           !strpbrk(h->hyperv[i].text, ",="));
	for (size_t i = 0; i < c->n_disks; i++)
		FUZZ_CHECK(strlen(c->disk[i].target) == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dom_config *a = NULL, *b = NULL;
	char *text = NULL, *again = NULL;
	struct err err = { 0 };

	if (dom_config_parse((const char *)data, len, "fuzz", &a, &err) < 0) {
		FUZZ_CHECK(!a && err.code > 0 && err.text[0]);
		return 0;
	}
	FUZZ_CHECK(a->memory_bytes && a->memory_bytes % 4096 == 0 && a->current_memory_bytes <= a->memory_bytes &&
	           (a->kernel || a->type != DOM_TYPE_UML));
	check_words(a);
	if (dom_config_format(a, &text, &err) < 0) { /* it would be read differently */
		FUZZ_CHECK(!text && (err.code == EINVAL || err.code == E2BIG) && err.text[0]);
		dom_config_free(a);
		return 0;
	}
	FUZZ_CHECK(dom_config_parse(text, strlen(text), "written", &b, &err) == 0);
	FUZZ_CHECK(dom_config_format(b, &again, &err) == 0);
	FUZZ_CHECK(!strcmp(text, again));
	free(text);
	free(again);
	dom_config_free(a);
	dom_config_free(b);
	return 0;
}
