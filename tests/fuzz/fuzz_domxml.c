/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: domain XML. What is accepted is written, read again, and must then be written the same. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "hypervisor/api/domcfg.h"

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
	           a->kernel);
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
