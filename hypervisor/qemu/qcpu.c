/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processor in QEMU's words: see qcpu.h. Names come from domain XML, which lets no comma through. */
#include "config.h"
#include "hypervisor/qemu/qcpu.h"

#include <stdio.h>
#include <string.h>
#include "common/buf.h"
#include "common/util.h"
#include "hypervisor/api/domarch.h"

__attribute__((format(printf, 2, 3))) static void add(struct buf *b, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_put(b, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

bool qcpu_is_special(const struct dom_config *cfg)
{
	const struct dom_cpu *c = &cfg->hvm.cpu;

	return c->mode == DOM_CPU_CUSTOM || c->n_features || c->sockets || cfg->hvm.n_hyperv || cfg->hvm.hypervclock ||
	       cfg->hvm.kvm_hidden || cfg->hvm.no_pmu;
}

/* What the guest was promised has to be there: with check='none' translated code may leave out what it does not know. */
static bool enforced(const struct dom_cpu *c, bool kvm)
{
	bool required = c->mode == DOM_CPU_CUSTOM;

	for (size_t i = 0; i < c->n_features; i++)
		required |= c->feature[i].policy <= DOM_CPU_REQUIRE;
	return required && (kvm || !c->unchecked);
}

bool qcpu_is_fixed(const struct dom_config *cfg, bool kvm)
{
	return dom_arch(cfg)->pc && cfg->hvm.cpu.mode == DOM_CPU_CUSTOM && enforced(&cfg->hvm.cpu, kvm);
}

static void add_features(struct buf *b, const struct dom_cpu *c)
{
	for (size_t i = 0; i < c->n_features; i++) {
		const struct dom_cpu_feature *f = &c->feature[i];

		/* an optional one was decided at the start (qhost_pin()), or nobody knows whether it could be had */
		if (f->policy != DOM_CPU_OPTIONAL || c->unchecked)
			add(b, ",%s=%s", f->name, f->policy == DOM_CPU_DISABLE ? "off" : "on");
	}
}

static void add_enlightenments(struct buf *b, const struct dom_hvm *h)
{
	for (size_t i = 0; i < h->n_hyperv; i++) {
		char name[sizeof(h->hyperv[i].name)];

		snprintf(name, sizeof(name), "%s", h->hyperv[i].name);
		for (char *s = name; *s; s++)
			*s = *s == '_' ? '-' : *s;
		if (h->hyperv[i].text[0])
			add(b, ",hv-%s=%s", name, h->hyperv[i].text);
		else if (h->hyperv[i].number)
			add(b, ",hv-%s=%u", name, h->hyperv[i].number);
		else
			add(b, ",hv-%s=on", name);
	}
	if (h->hypervclock)
		add(b, ",hv-time=on");
	if (h->kvm_hidden)
		add(b, ",kvm=off");
	if (h->no_pmu)
		add(b, ",pmu=off");
}

char *qcpu_text(const struct dom_config *cfg, bool kvm)
{
	const struct dom_cpu *c = &cfg->hvm.cpu;
	const struct dom_arch_info *arch = dom_arch(cfg);
	const char *model = c->mode == DOM_CPU_CUSTOM    ? c->model
	                    : c->mode == DOM_CPU_MAXIMUM ? arch->cpu_maximum
	                    : kvm                        ? "host"
	                                                 : arch->cpu;
	_cleanup_buf_ struct buf b = { 0 };

	add(&b, "%s", model);
	add_features(&b, c);
	if (kvm)
		add_enlightenments(&b, &cfg->hvm);
	if (arch->pc && enforced(c, kvm)) /* others know each feature that they are told, or do not start */
		add(&b, ",enforce=on");
	buf_put_u8(&b, 0);
	return b.failed ? NULL : strdup((const char *)b.data);
}

char *qcpu_smp(const struct dom_config *cfg)
{
	const struct dom_cpu *c = &cfg->hvm.cpu;
	char *text = NULL;
	int n = c->sockets ? asprintf(&text, "%u,sockets=%u,dies=%u,cores=%u,threads=%u", cfg->vcpus, c->sockets,
	                              c->dies, c->cores, c->threads)
	                   : asprintf(&text, "%u", cfg->vcpus);

	return n < 0 ? NULL : text;
}

/* Pinning ----------------------------------------------------------------------------------------------------------------- */

#define PLAIN "qemu64" /* every processor with 64 bits has its features */

static bool has(const uint64_t bits[CPU_FEATURE_WORDS], int bit)
{
	return bit >= 0 && bits[bit / 64] & 1ull << (bit % 64);
}

static void put_feature(struct dom_cpu *c, const char *name, enum dom_cpu_policy policy)
{
	for (size_t i = 0; i < c->n_features; i++)
		if (cpu_feature_same(c->feature[i].name, name))
			return; /* what the document says comes first */
	if (c->n_features == DOM_CPU_FEATURES_MAX)
		return;
	snprintf(c->feature[c->n_features].name, sizeof(c->feature[0].name), "%s", name);
	c->feature[c->n_features++].policy = policy;
}

void qcpu_pin(struct dom_cpu *cpu, const uint64_t bits[CPU_FEATURE_WORDS])
{
	for (size_t i = 0; i < cpu->n_features; i++) {
		struct dom_cpu_feature *f = &cpu->feature[i];

		if (f->policy == DOM_CPU_OPTIONAL)
			f->policy = has(bits, cpu_feature_bit(f->name)) ? DOM_CPU_REQUIRE : DOM_CPU_DISABLE;
	}
	if (cpu->mode != DOM_CPU_HOST_MODEL)
		return;
	cpu->mode = DOM_CPU_CUSTOM;
	cpu->unchecked = false;
	snprintf(cpu->model, sizeof(cpu->model), PLAIN);
	put_feature(cpu, "svm", DOM_CPU_DISABLE); /* the plain model has it */
	for (unsigned bit = 0; bit < 64 * CPU_FEATURE_WORDS; bit++) {
		const char *name = has(bits, (int)bit) ? cpu_feature_model_name(bit) : NULL;

		if (name)
			put_feature(cpu, name, DOM_CPU_REQUIRE);
	}
}

static void put_word(char *names, size_t size, const char *word, size_t len)
{
	size_t at = strlen(names);

	if (at + len + 3 < size)
		snprintf(names + at, size - at, "%s%.*s", at ? ", " : "", (int)len, word);
}

unsigned qcpu_lacking(const struct dom_cpu *cpu, const uint64_t bits[CPU_FEATURE_WORDS], char *names, size_t size)
{
	unsigned n = 0;

	names[0] = 0;
	for (size_t i = 0; i < cpu->n_features; i++) {
		const struct dom_cpu_feature *f = &cpu->feature[i];
		int bit = f->policy <= DOM_CPU_REQUIRE ? cpu_feature_bit(f->name) : -1;

		if (bit < 0 || has(bits, bit))
			continue;
		put_word(names, size, f->name, strlen(f->name));
		n++;
	}
	return n;
}

/* "... requested feature: CPUID.07H:EBX.avx2 [bit 5]", or "MSR(48FH).name [bit 1]" */
unsigned qcpu_refused(const char *text, char *names, size_t size)
{
	static const char said[] = "requested feature: ";
	unsigned n = 0;

	names[0] = 0;
	for (const char *p = text; (p = strstr(p, said));) {
		const char *end = strstr(p += sizeof(said) - 1, " [bit"), *name = p;

		if (!strncmp(p, "CPUID", 5))
			name = strchr(p, ':');
		name = name ? strchr(name, '.') : NULL;
		if (!end || !name || name >= end || (size_t)(end - p) > 64)
			continue;
		put_word(names, size, name + 1, (size_t)(end - name - 1));
		n++;
	}
	return n;
}

void qcpu_drop(struct dom_cpu *cpu, const char *names)
{
	char name[sizeof(cpu->feature[0].name)];

	for (const char *p = names; *p;) {
		size_t len = strcspn(p, ",");

		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		for (size_t i = 0; i < cpu->n_features;) {
			if (cpu_feature_same(cpu->feature[i].name, name))
				memmove(&cpu->feature[i], &cpu->feature[i + 1],
				        (--cpu->n_features - i) * sizeof(cpu->feature[0]));
			else
				i++;
		}
		p += len;
		p += strspn(p, ", ");
	}
}
