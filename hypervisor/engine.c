/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of engines. */
#include "config.h"
#include "hypervisor/engine.h"

#include <string.h>

const struct hv_engine hv_engines[] = {
	{ "pv", &hv_engine_pv },
	{ "qemu", &hv_engine_qemu },
	{ "kvm", &hv_engine_kvm },
	{ "qemu-aarch64", &hv_engine_qemu_aarch64 },
	{ 0 },
};

const struct hv_engine *hv_engine_for(const struct dom_config *cfg)
{
	const struct hv_engine *e = hv_engines;

	while (strcmp(e->name, dom_engine(cfg)) != 0)
		e++;
	return e;
}
