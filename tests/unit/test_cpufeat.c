/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/api/cpufeat.c: bits, names, texts. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "hypervisor/api/cpufeat.h"

/* Places on the wire and on disks: they never change. */
static void test_places(void **state)
{
	(void)state;
	assert_string_equal(cpu_feature_name(0), "3dnow");
	assert_string_equal(cpu_feature_name(8), "avx");
	assert_string_equal(cpu_feature_name(83), "xsaves");
	assert_null(cpu_feature_name(84));
	assert_string_equal(cpu_feature_name(128), "apic");
	assert_string_equal(cpu_feature_name(180), "bus_lock_detect");
	assert_null(cpu_feature_name(181));
	assert_null(cpu_feature_name(255));
	assert_null(cpu_feature_name(4000));
}

static void test_names(void **state)
{
	static const struct {
		const char *here, *model;
	} c[] = {
		{ "avx2", "avx2" },
		{ "sse4_2", "sse4.2" },
		{ "avx512_vnni", "avx512vnni" },
		{ "tsc_deadline_timer", "tsc-deadline" },
		{ "vmx", NULL },
	};
	unsigned seen = 0;

	(void)state;
	for (unsigned bit = 0; bit < 64 * CPU_FEATURE_WORDS; bit++) {
		const char *n = cpu_feature_name(bit), *m = cpu_feature_model_name(bit);

		for (size_t i = 0; n && i < sizeof(c) / sizeof(c[0]); i++) {
			if (strcmp(n, c[i].here) != 0)
				continue;
			seen++;
			if (!c[i].model)
				assert_null(m);
			else
				assert_string_equal(m, c[i].model);
		}
		if (m)
			assert_int_equal(cpu_feature_bit(m), bit);
		if (n && !m)
			assert_int_equal(cpu_feature_bit(n), bit);
	}
	assert_int_equal(seen, 5);
	assert_int_equal(cpu_feature_bit("avx512-vnni"), -1);
	assert_int_equal(cpu_feature_bit("lahf_lm"), cpu_feature_bit("lahf-lm"));
	assert_int_equal(cpu_feature_bit(""), -1);
}

static void test_text(void **state)
{
	static const char *const bad[] = { "",        "1/2/3",   "1/2/3/4/5", "1/2/3/",
		                           "/1/2/3",  "1/2/3/g", "1/2/3/-4",  "1/2/3/11111111111111111",
		                           "1/2/3/4 " };
	uint64_t w[CPU_FEATURE_WORDS] = { 1, ~0ull, 0, 0xabcdef }, back[CPU_FEATURE_WORDS] = { 7, 7, 7, 7 };
	char text[CPU_BITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cpu_bits_parse(bad[i], back), -EINVAL);
	assert_int_equal(back[0], 7);
	cpu_bits_format(w, text);
	assert_string_equal(text, "1/ffffffffffffffff/0/abcdef");
	assert_int_equal(cpu_bits_parse(text, back), 0);
	assert_memory_equal(w, back, sizeof(w));
	memset(w, 0xff, sizeof(w));
	cpu_bits_format(w, text);
	assert_int_equal(cpu_bits_parse(text, back), 0);
	assert_memory_equal(w, back, sizeof(w));
}

/* This machine, whatever it is. */
static void test_here(void **state)
{
	const char *names[CPU_FEATURES_MAX];
	unsigned n = cpu_features_here(names, NULL);
	uint64_t w[CPU_FEATURE_WORDS];
	char id[64];

	(void)state;
	cpu_features_bits(w);
	for (unsigned i = 0; i < n; i++) {
		int bit = cpu_feature_bit(names[i]);
		/* QEMU may have another name for it */
		if (bit >= 0)
			assert_true(bit < 128 && (w[bit / 64] & 1ull << (bit % 64)));
	}
#ifdef __x86_64__
	int lm = cpu_feature_bit("lm");
	assert_true(lm >= 128 && (w[lm / 64] & 1ull << (lm % 64)));
	cpu_identity(id);
	assert_int_equal(sscanf(id, "%*s %*u %*u %u", &n), 1);
#else
	cpu_identity(id); /* says something, whatever the processor is */
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
