/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processor in QEMU's words: see qcpu.h. Names come from domain XML, which lets no comma through. */
#include "config.h"
#include "hypervisor/qemu/qcpu.h"

#include <stdio.h>
#include <string.h>
#include "common/buf.h"
#include "common/util.h"

__attribute__((format(printf, 2, 3))) static void add(struct buf *b, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_put(b, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

bool qcpu_is_host(const struct dom_config *cfg, bool kvm)
{
	return kvm && cfg->hvm.cpu.mode != DOM_CPU_CUSTOM;
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
	const char *model = c->mode == DOM_CPU_CUSTOM ? c->model : c->mode == DOM_CPU_MAXIMUM || !kvm ? "max" : "host";
	_cleanup_buf_ struct buf b = { 0 };

	add(&b, "%s", model);
	add_features(&b, c);
	if (kvm)
		add_enlightenments(&b, &cfg->hvm);
	if (enforced(c, kvm))
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
