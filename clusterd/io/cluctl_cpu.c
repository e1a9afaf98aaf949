/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order cpu-baseline: which CPU features guests of mode host-model have, and which host keeps others from them. */
#include "config.h"
#include "clusterd/core/place.h"
#include "clusterd/io/cluctl_int.h"
#include "hypervisor/api/cpufeat.h"

/* The features of @w, by QEMU's and libvirt's names, those that have one. */
static json_t *names(const uint64_t w[CLU_CPU_WORDS])
{
	json_t *a = json_array();

	for (unsigned bit = 0; bit < 64 * CLU_CPU_WORDS; bit++) {
		const char *name = w[bit / 64] & UINT64_C(1) << bit % 64 ? cpu_feature_model_name(bit) : NULL;

		if (name)
			(void)json_array_append_new(a, json_string(name));
	}
	return a;
}

void ctl_cpu_baseline(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	uint64_t base[CLU_CPU_WORDS], slots[CLU_HOSTS_MAX / 64], all[CLU_CPU_WORDS] = { 0 };
	json_t *hosts = json_array();

	clu_cpu_baseline(s, base, slots);
	for (unsigned i = 0; i < CLU_HOSTS_MAX; i++)
		for (unsigned k = 0; clu_bit(slots, i) && k < CLU_CPU_WORDS; k++)
			all[k] |= s->host[i].cap.cpu_bits[k];
	for (unsigned i = 0; i < CLU_HOSTS_MAX; i++) {
		const struct clu_host *h = &s->host[i];
		uint64_t lacks[CLU_CPU_WORDS];

		if (!h->node)
			continue;
		for (unsigned k = 0; k < CLU_CPU_WORDS; k++)
			lacks[k] = all[k] & ~h->cap.cpu_bits[k];
		(void)json_array_append_new(hosts, json_pack("{s:s, s:b, s:o}", "name", h->name, "counts",
		                                             (int)clu_bit(slots, i), "lacks", names(lacks)));
	}
	ctl_over(c, json_pack("{s:s, s:o, s:o}", "type", "baseline", "features", names(base), "hosts", hosts));
}
