/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comments and last commas of configuration files become blanks; all else stays as it is. The files that are installed are read, too. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <jansson.h>
#include "common/jsonplain.h"
#include "common/util.h"

static void test_texts(void **state)
{
	static const struct {
		const char *text, *plain;
	} t[] = {
		{ "", "" },
		{ "{}", "{}" },
		{ "{\"a\": 1,\n}", "{\"a\": 1 \n}" },
		{ "[1, 2, ]", "[1, 2  ]" },
		{ "[1, // one\n 2]", "[1,       \n 2]" },
		{ "[1, // last\n]", "[1         \n]" },
		{ "{\"a\": \"//,}\"}", "{\"a\": \"//,}\"}" },
		{ "{\"a\": \"\\\"//\", // b\n}", "{\"a\": \"\\\"//\"      \n}" },
		{ "{\"a\": [1,], // b\n // \"c\": 2,\n}", "{\"a\": [1 ]      \n           \n}" },
		{ "[1, 2,, ]", "[1, 2,  ]" }, /* one: two are a fault */
		{ "[1 / 2]", "[1 / 2]" },
		{ "// no end", "         " },
		{ "[\"no end", "[\"no end" },
		{ "[\"no end\\", "[\"no end\\" },
		{ "/", "/" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ char *text = strdup(t[i].text);

		json_plain(text, strlen(text));
		assert_string_equal(text, t[i].plain);
	}
}

/* "//" taken away before every setting: @path is what was meant to be written. */
static void uncomment(char *text)
{
	for (char *s = text; (s = strstr(s, "// \"")); s += 2)
		if (s > text && s[-1] == '\t')
			s[0] = s[1] = ' ';
}

static void test_installed(void **state)
{
	static const char *const path[] = { "clusterd/clusterd.json", "clusterd/fence.json", "migrated/migrated.json",
		                            "hypervisor/paths.json" };
	const char *top = getenv("top_srcdir");
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		_cleanup_free_ char *full = xasprintf("%s/%s", top ?: ".", path[i]), *text = NULL, *all = NULL;
		size_t len;

		assert_int_equal(file_read(full, 65536, &text, &len), 0);
		all = strdup(text);
		json_plain(text, len);
		json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_is_object(o));
		assert_int_equal(json_object_size(o), strstr(path[i], "fence") ? 2 : 0);
		json_decref(o);
		uncomment(all);
		json_plain(all, len);
		o = json_loadb(all, len, JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_object_size(o) >= 4);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_texts), cmocka_unit_test(test_installed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
