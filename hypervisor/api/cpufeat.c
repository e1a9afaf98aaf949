/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features of this host: see cpufeat.h. */
#include "config.h"
#include "hypervisor/api/cpufeat.h"

#include <errno.h>
#include <string.h>
#include "common/util.h"

/* What programs in a guest may have found and use; names of Linux' cpufeatures.h. Positions are on the wire: append only. */
static const char *const isa[] = {
	// clang-format off
	"3dnow", "3dnowext", "abm", "adx", "aes", "amx_bf16", "amx_int8", "amx_tile", "avx", "avx2", "avx512_4fmaps",
	"avx512_4vnniw", "avx512_bf16", "avx512_bitalg", "avx512_fp16", "avx512_vbmi2", "avx512_vnni",
	"avx512_vp2intersect", "avx512_vpopcntdq", "avx512bw", "avx512cd", "avx512dq", "avx512er", "avx512f",
	"avx512ifma", "avx512pf", "avx512vbmi", "avx512vl", "avx_vnni", "bmi1", "bmi2", "cldemote", "clflush",
	"clflushopt", "clwb", "clzero", "cmov", "cx16", "cx8", "erms", "f16c", "fma", "fma4", "fpu", "fsgsbase",
	"fsrm", "fxsr", "gfni", "lahf_lm", "misalignsse", "mmx", "mmxext", "movbe", "movdir64b", "movdiri", "ospke",
	"pclmulqdq", "pku", "pni", "popcnt", "prefetchwt1", "rdpid", "rdrand", "rdseed", "rdtscp", "rtm",
	"serialize", "sha_ni", "sse", "sse2", "sse4_1", "sse4_2", "sse4a", "ssse3", "tbm", "tsc", "vaes",
	"vpclmulqdq", "waitpkg", "xop", "xsave", "xsavec", "xsaveopt", "xsaves",
	// clang-format on
};
_Static_assert(ARRAY_SIZE(isa) <= 64 * CPU_FEATURE_WORDS, "a bit for each");

static bool word_in(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += n)
		if ((p == line || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

/* The first "flags" line of /proc/cpuinfo in *@text (owned by the caller), or NULL. */
static const char *flags_line(char **text, struct err *err)
{
	size_t len;

	if (file_read("/proc/cpuinfo", 16u << 20, text, &len) < 0) {
		(void)err_set(err, EIO, "cannot read /proc/cpuinfo");
		return NULL;
	}
	char *flags = strstr(*text, "\nflags"), *nl = flags ? strchr(flags + 1, '\n') : NULL,
	     *colon = flags ? strchr(flags, ':') : NULL;
	if (!colon || !nl)
		return NULL;
	*nl = 0;
	return colon + 2 <= nl ? colon + 2 : NULL;
}

unsigned cpu_features_here(const char *ret[CPU_FEATURES_MAX], struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *line = flags_line(&text, err);
	unsigned n = 0;

	for (size_t i = 0; line && i < ARRAY_SIZE(isa) && n < CPU_FEATURES_MAX; i++)
		if (word_in(line, isa[i]))
			ret[n++] = isa[i];
	return n;
}

void cpu_features_bits(uint64_t ret[CPU_FEATURE_WORDS])
{
	_cleanup_free_ char *text = NULL;
	const char *line = flags_line(&text, NULL);

	memset(ret, 0, CPU_FEATURE_WORDS * sizeof(ret[0]));
	for (size_t i = 0; line && i < ARRAY_SIZE(isa); i++)
		if (word_in(line, isa[i]))
			ret[i / 64] |= 1ull << (i % 64);
}
