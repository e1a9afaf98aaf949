/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of engines, and the entry of the one that is not built: `kvm` says so instead of pretending. */
#include "config.h"
#include "hypervisor/engine.h"

#include <errno.h>

static int kvm_probe(const struct dom_config *cfg, struct err *err)
{
	int r = err_set(err, ENOTSUP,
	                "this version of Hospes has no hardware-assisted engine yet; use <domain type='uml'> "
	                "with a user-mode kernel such as /usr/bin/linux.uml (package user-mode-linux)");

	return cfg && err ? err_prefix(err, "domain '%s' is of type 'kvm'", cfg->name) : r;
}
static int kvm_kernel_id(const struct dom_config *cfg, char out[40], struct err *err)
{
	(void)out;
	return kvm_probe(cfg, err);
}
static int kvm_open(const struct hv_engine_env *env, void **vm, struct err *err)
{
	(void)vm;
	return kvm_probe(env->cfg, err);
}
static int no_vm(struct err *err)
{
	return err_set(err, ENOTSUP, "the kvm engine is not part of this version");
}
static int kvm_boot(void *vm, struct err *err)
{
	(void)vm;
	return no_vm(err);
}
static int kvm_suspend(void *vm, unsigned t, struct err *err)
{
	(void)vm;
	(void)t;
	return no_vm(err);
}
static int kvm_save(void *vm, struct buf *out, struct err *err)
{
	(void)vm;
	(void)out;
	return no_vm(err);
}
static int kvm_load(void *vm, struct rd *in, struct err *err)
{
	(void)vm;
	(void)in;
	return no_vm(err);
}
static int kvm_ld_start(void *vm, uint32_t mode, bool audit, uint32_t *ret, struct err *err)
{
	(void)vm;
	(void)mode;
	(void)audit;
	(void)ret;
	return no_vm(err);
}
static int kvm_ld_collect(void *vm, bool clean, uint64_t *b, uint64_t *ret, struct err *err)
{
	(void)vm;
	(void)clean;
	(void)b;
	(void)ret;
	return no_vm(err);
}
static int kvm_ld_audit(void *vm, uint64_t *b, uint64_t *ret, struct err *err)
{
	(void)vm;
	(void)b;
	(void)ret;
	return no_vm(err);
}
static void kvm_input(void *vm, const void *p, size_t len)
{
	(void)vm;
	(void)p;
	(void)len;
}
static void kvm_stats(void *vm, struct hv_stats *st)
{
	(void)vm;
	(void)st;
}
static void kvm_look(void *vm, struct hv_look *ret)
{
	(void)vm;
	*ret = (struct hv_look){ 0 };
}
static void kvm_nothing(void *vm)
{
	(void)vm;
}

const struct hv_engine_ops hv_engine_kvm = {
	.name = "kvm",
	.probe = kvm_probe,
	.kernel_id = kvm_kernel_id,
	.open = kvm_open,
	.boot = kvm_boot,
	.suspend = kvm_suspend,
	.resume = kvm_boot,
	.save = kvm_save,
	.load = kvm_load,
	.logdirty_start = kvm_ld_start,
	.logdirty_collect = kvm_ld_collect,
	.logdirty_audit = kvm_ld_audit,
	.logdirty_stop = kvm_nothing,
	.input = kvm_input,
	.stats = kvm_stats,
	.look = kvm_look,
	.kill = kvm_nothing,
	.close = kvm_nothing,
};

const struct hv_engine_ops *const hv_engines[] = { &hv_engine_pv, &hv_engine_kvm, NULL };

const struct hv_engine_ops *hv_engine_for(const struct dom_config *cfg)
{
	return cfg->type == DOM_TYPE_KVM ? &hv_engine_kvm : &hv_engine_pv;
}
