/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features of this host: see cpufeat.h. */
#include "config.h"
#include "hypervisor/api/cpufeat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"

/*
 * What programs in a guest may have found and use; names of Linux' cpufeatures.h. Positions are on the wire: append only, within the first
 * two words.
 */
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
#define KERNEL_FIRST (64 * CPU_FEATURE_USER_WORDS)
_Static_assert(ARRAY_SIZE(isa) <= KERNEL_FIRST, "a bit for each");

/* What a kernel of its own uses besides, as far as KVM gives it to guests. From bit KERNEL_FIRST on; append only. */
static const char *const kernel[] = {
	// clang-format off
	"apic", "arat", "arch_capabilities", "arch_lbr", "cr8_legacy", "de", "fsrs", "fzrm", "flush_l1d", "ibpb", "ibrs", "invpcid",
	"la57", "lm", "mca", "mce", "md_clear", "msr", "mtrr", "nx", "pae", "pat", "pcid", "pdpe1gb", "pge", "pse", "pse36",
	"sep", "smap", "smep", "ssbd", "stibp", "syscall", "topoext", "tsc_adjust", "tsc_deadline_timer", "umip", "vme",
	"wbnoinvd", "x2apic", "xgetbv1", "3dnowprefetch", "osvw", "perfctr_core", "nrip_save", "npt", "svm", "vmx", "virt_ssbd",
	"amd_ssbd", "cmp_legacy", "fxsr_opt", "bus_lock_detect",
	// clang-format on
};
_Static_assert(ARRAY_SIZE(kernel) <= 64 * CPU_FEATURE_WORDS - KERNEL_FIRST, "a bit for each");

/* Where Linux and QEMU differ by more than - for _; NULL: QEMU has none, or gives it anyway. */
static const struct {
	const char *here, *model;
} other_names[] = {
	{ "avx512_4fmaps", "avx512-4fmaps" },
	{ "avx512_4vnniw", "avx512-4vnniw" },
	{ "avx512_bf16", "avx512-bf16" },
	{ "avx512_bitalg", "avx512bitalg" },
	{ "avx512_fp16", "avx512-fp16" },
	{ "avx512_vbmi2", "avx512vbmi2" },
	{ "avx512_vnni", "avx512vnni" },
	{ "avx512_vp2intersect", "avx512-vp2intersect" },
	{ "avx512_vpopcntdq", "avx512-vpopcntdq" },
	{ "avx_vnni", "avx-vnni" },
	{ "lahf_lm", "lahf-lm" },
	{ "sha_ni", "sha-ni" },
	{ "sse4_1", "sse4.1" },
	{ "sse4_2", "sse4.2" },
	{ "abm", "abm" },
	{ "ospke", NULL },
	{ "prefetchwt1", NULL },
	{ "cr8_legacy", "cr8legacy" },
	{ "flush_l1d", NULL },
	{ "ibpb", "ibpb" },
	{ "ibrs", "ibrs" },
	{ "md_clear", "md-clear" },
	{ "arch_capabilities", "arch-capabilities" },
	{ "tsc_adjust", "tsc-adjust" },
	{ "tsc_deadline_timer", "tsc-deadline" },
	{ "perfctr_core", "perfctr-core" },
	{ "virt_ssbd", "virt-ssbd" },
	{ "amd_ssbd", "amd-ssbd" },
	{ "cmp_legacy", "cmp-legacy" },
	{ "fxsr_opt", "fxsr-opt" },
	{ "bus_lock_detect", "bus-lock-detect" },
	{ "misalignsse", "misalignsse" },
	/* these depend on more than the processor: a guest that shall have them asks for them by name */
	{ "svm", NULL },
	{ "vmx", NULL },
	{ "npt", NULL },
	{ "nrip_save", NULL },
	{ "arch_lbr", NULL },
	{ "amx_tile", NULL },
	{ "amx_bf16", NULL },
	{ "amx_int8", NULL },
	{ "xsaves", NULL },
	{ "fsrs", NULL },
	{ "fzrm", NULL },
};

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
	const char *line = flags_line(&text, NULL), *name;

	memset(ret, 0, CPU_FEATURE_WORDS * sizeof(ret[0]));
	for (unsigned bit = 0; line && bit < 64 * CPU_FEATURE_WORDS; bit++)
		if ((name = cpu_feature_name(bit)) && word_in(line, name))
			ret[bit / 64] |= 1ull << (bit % 64);
}

const char *cpu_feature_name(unsigned bit)
{
	if (bit < ARRAY_SIZE(isa))
		return isa[bit];
	return bit >= KERNEL_FIRST && bit - KERNEL_FIRST < ARRAY_SIZE(kernel) ? kernel[bit - KERNEL_FIRST] : NULL;
}

const char *cpu_feature_model_name(unsigned bit)
{
	const char *name = cpu_feature_name(bit);

	for (size_t i = 0; name && i < ARRAY_SIZE(other_names); i++)
		if (!strcmp(other_names[i].here, name))
			return other_names[i].model;
	return name;
}

bool cpu_feature_same(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-')))
			return false;
	return *a == *b;
}

int cpu_feature_bit(const char *model_name)
{
	for (unsigned bit = 0; bit < 64 * CPU_FEATURE_WORDS; bit++) {
		const char *m = cpu_feature_model_name(bit), *n = m ? NULL : cpu_feature_name(bit);
		if ((m && cpu_feature_same(m, model_name)) || (n && cpu_feature_same(n, model_name)))
			return (int)bit;
	}
	return -1;
}

void cpu_bits_format(const uint64_t w[CPU_FEATURE_WORDS], char ret[CPU_BITS_TEXT])
{
	size_t at = 0;

	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++)
		at += (size_t)snprintf(ret + at, CPU_BITS_TEXT - at, "%s%llx", i ? "/" : "", (unsigned long long)w[i]);
}

int cpu_bits_parse(const char *text, uint64_t ret[CPU_FEATURE_WORDS])
{
	uint64_t w[CPU_FEATURE_WORDS];

	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
		size_t n = strspn(text, "0123456789abcdef");

		if (!n || n > 16 || text[n] != (i + 1 < CPU_FEATURE_WORDS ? '/' : 0))
			return -EINVAL;
		w[i] = strtoull(text, NULL, 16);
		text += n + 1;
	}
	memcpy(ret, w, sizeof(w));
	return 0;
}

/* The value behind "@key :" in a /proc/cpuinfo, as a word. */
static void word_of(const char *text, const char *key, char ret[14])
{
	const char *p = strstr(text, key);

	ret[0] = 0;
	if (p && (p = strchr(p, ':')))
		(void)sscanf(p, ": %13s", ret);
}

void cpu_identity(char ret[64])
{
	_cleanup_free_ char *text = NULL;
	char vendor[14], family[14], model[14], stepping[14];

	ret[0] = 0;
	if (file_read("/proc/cpuinfo", 16u << 20, &text, NULL) < 0)
		return;
	word_of(text, "vendor_id", vendor);
	word_of(text, "cpu family", family);
	word_of(text, "model\t", model);
	word_of(text, "stepping", stepping);
	snprintf(ret, 64, "%s %s %s %s", vendor, family, model, stepping);
}
