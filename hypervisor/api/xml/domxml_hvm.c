/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what only guests with a machine of their own have (kvm, qemu): processor, features, clock, and the devices that QEMU itself is:
 * see struct dom_hvm. The document keeps these elements as they are: nothing here writes them.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hypervisor/api/domarch.h"

#define ADJUST_MAX (1ll << 40) /* seconds */

static int oom(struct dx *x)
{
	return err_sys(x->err, ENOMEM, "%s", x->origin);
}

/* One of @names if the attribute is there; else *@ret stays. */
static int choice(struct dx *x, const xmlNode *node, const char *name, const char *const *names, size_t n, int *ret)
{
	return xmlHasProp(node, (const xmlChar *)name) ? dx_need_choice(x, node, name, names, n, ret) : 0;
}

/* A decimal number of @min to @max; *@ret stays if the attribute is missing. */
static int number(struct dx *x, const xmlNode *node, const char *name, long long min, long long max, long long *ret)
{
	_cleanup_free_ char *text = dx_attr(node, name);
	const char *digits = text && *text == '-' ? text + 1 : text;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (!isdigit((unsigned char)*digits) || *end || errno || v < min || v > max)
		return dx_fail(x, node, "%s '%.30s' is not between %lld and %lld", name, text, min, max);
	*ret = v;
	return 0;
}

/* Letters, digits, _ . - : what goes into QEMU's command line. */
static int put_name(struct dx *x, const xmlNode *node, const char *what, const char *name, char *to, size_t size)
{
	if (!name || !*name || strlen(name) >= size)
		return dx_fail(x, node, "%s '%.60s' is not 1 to %zu characters long", what, name ?: "", size - 1);
	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
			return dx_fail(x, node, "%s '%.60s' may hold letters, digits and _ . - only", what, name);
	strcpy(to, name);
	return 0;
}

/* state='on', which is also the default; 'off'. */
static int on_off(struct dx *x, const xmlNode *node, const char *name, bool *ret)
{
	static const char *const names[] = { "on", "off", "yes", "no" };
	int i = 0, r = choice(x, node, name, names, ARRAY_SIZE(names), &i);

	*ret = !(i & 1);
	return r;
}

/* Processor --------------------------------------------------------------------------------------------------------------- */

static int parse_topology(struct dx *x, const xmlNode *cpu, struct dom_config *cfg)
{
	struct dom_cpu *c = &cfg->hvm.cpu;
	long long sockets = 0, dies = 1, cores = 0, threads = 0;
	xmlNode *node;
	int r = dx_single(x, cpu, "topology", &node);

	if (r < 0 || !node)
		return r;
	if ((r = number(x, node, "sockets", 1, 255, &sockets)) < 0 ||
	    (r = number(x, node, "dies", 1, 255, &dies)) < 0 || (r = number(x, node, "cores", 1, 255, &cores)) < 0 ||
	    (r = number(x, node, "threads", 1, 255, &threads)) < 0)
		return r;
	if (!sockets || !cores || !threads)
		return dx_fail(x, node, "needs sockets, cores and threads");
	if (sockets * dies * cores * threads != cfg->vcpus)
		return dx_fail(x, node, "sockets, dies, cores and threads make %lld, but <vcpu> is %u",
		               sockets * dies * cores * threads, cfg->vcpus);
	c->sockets = (unsigned)sockets;
	c->dies = (unsigned)dies;
	c->cores = (unsigned)cores;
	c->threads = (unsigned)threads;
	return 0;
}

static int parse_features_of_cpu(struct dx *x, const xmlNode *cpu, struct dom_cpu *c)
{
	static const char *const policies[] = { [DOM_CPU_FORCE] = "force",
		                                [DOM_CPU_REQUIRE] = "require",
		                                [DOM_CPU_OPTIONAL] = "optional",
		                                [DOM_CPU_DISABLE] = "disable" };
	int r = 0;

	for (xmlNode *n = dx_child(cpu, "feature"); !r && n; n = dx_next(n)) {
		struct dom_cpu_feature *f = &c->feature[c->n_features];
		_cleanup_free_ char *name = dx_attr(n, "name");
		int i = DOM_CPU_REQUIRE;

		if (c->n_features == DOM_CPU_FEATURES_MAX)
			return dx_fail(x, n, "more than %d features", DOM_CPU_FEATURES_MAX);
		r = choice(x, n, "policy", policies, ARRAY_SIZE(policies), &i);
		if (!r)
			r = put_name(x, n, "name", name, f->name, sizeof(f->name));
		for (size_t k = 0; !r && k < c->n_features; k++)
			if (!strcmp(c->feature[k].name, f->name))
				r = dx_fail(x, n, "%s is given twice", f->name);
		f->policy = (enum dom_cpu_policy)i;
		c->n_features += !r;
	}
	return r;
}

/* <cpu> without a mode is as libvirt reads it: a model makes it custom, else only the topology is meant. */
static int parse_cpu(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	static const char *const modes[] = { [DOM_CPU_DEFAULT] = NULL,
		                             [DOM_CPU_PASSTHROUGH] = "host-passthrough",
		                             [DOM_CPU_HOST_MODEL] = "host-model",
		                             [DOM_CPU_CUSTOM] = "custom",
		                             [DOM_CPU_MAXIMUM] = "maximum" };
	static const char *const named[] = { "host-passthrough", "host-model", "custom", "maximum" };
	_cleanup_free_ char *check = NULL, *text = NULL;
	struct dom_cpu *c = &cfg->hvm.cpu;
	xmlNode *node, *model;
	int i = -1, r = dx_single(x, dom, "cpu", &node);

	if (r < 0 || !node)
		return r;
	if ((r = dx_single(x, node, "model", &model)) < 0 ||
	    (r = choice(x, node, "mode", named, ARRAY_SIZE(named), &i)) < 0)
		return r;
	c->mode = i >= 0  ? (enum dom_cpu_mode)dx_index(named[i], modes, ARRAY_SIZE(modes))
	          : model ? DOM_CPU_CUSTOM
	                  : DOM_CPU_DEFAULT;
	check = dx_attr(node, "check");
	c->unchecked = check && !strcmp(check, "none");
	if (c->mode == DOM_CPU_CUSTOM) {
		if (!model)
			return dx_fail(x, node, "mode 'custom' needs a <model>");
		text = dx_text(model);
		if (!text)
			return oom(x);
		r = put_name(x, model, "the model", text, c->model, sizeof(c->model));
		if (!r && (!strcmp(c->model, "host") || !strcmp(c->model, "max") || !strcmp(c->model, "base")))
			r = dx_fail(x, model, "'%s' is no model of a processor: mode='host-passthrough' or 'maximum'",
			            c->model);
	}
	if (!r)
		r = parse_features_of_cpu(x, node, c);
	return r ? r : parse_topology(x, node, cfg);
}

/* Features ---------------------------------------------------------------------------------------------------------------- */

static const char *const enlightenments[] = {
	"relaxed", "vapic", "spinlocks", "vpindex",     "runtime",         "synic",
	"stimer",  "reset", "vendor_id", "frequencies", "reenlightenment", "tlbflush",
	"ipi",     "avic",  "evmcs",     "emsr_bitmap", "xmm_input",
};

static int parse_enlightenment(struct dx *x, const xmlNode *n, struct dom_config *cfg)
{
	struct dom_hyperv *h = &cfg->hvm.hyperv[cfg->hvm.n_hyperv];
	const char *name = (const char *)n->name;
	_cleanup_free_ char *value = NULL;
	long long retries = 4095;
	bool on;
	int r = on_off(x, n, "state", &on);

	if (r < 0)
		return r;
	if (dx_index(name, enlightenments, ARRAY_SIZE(enlightenments)) < 0)
		return dx_note(cfg, "features/hyperv/%.40s is left out: this QEMU has no such enlightenment", name);
	if (!on)
		return 0;
	if (cfg->hvm.n_hyperv == DOM_HYPERV_MAX)
		return dx_fail(x, n, "more than %d enlightenments", DOM_HYPERV_MAX);
	r = number(x, n, "retries", 4095, 4294967295ll, &retries);
	if (r < 0)
		return r;
	*h = (struct dom_hyperv){ .number = !strcmp(name, "spinlocks") ? (unsigned)retries : 0 };
	snprintf(h->name, sizeof(h->name), "%s", name);
	value = dx_attr(n, "value");
	if (!strcmp(name, "vendor_id"))
		r = put_name(x, n, "value", value, h->text, sizeof(h->text));
	cfg->hvm.n_hyperv += !r;
	return r;
}

static int parse_features(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	xmlNode *features, *hyperv, *node;
	bool on = true;
	int r = dx_single(x, dom, "features", &features);

	if (r < 0 || !features)
		return r;
	if ((r = dx_single(x, features, "hyperv", &hyperv)) < 0 || (r = dx_single(x, features, "pmu", &node)) < 0)
		return r;
	if (node && (r = on_off(x, node, "state", &on)) < 0)
		return r;
	cfg->hvm.no_pmu = node && !on;
	_cleanup_free_ char *mode = hyperv ? dx_attr(hyperv, "mode") : NULL;
	if (mode && !strcmp(mode, "passthrough"))
		return dx_fail(x, hyperv, "mode 'passthrough' is not supported: it would differ from host to host");
	if (hyperv && cfg->type == DOM_TYPE_QEMU)
		r = dx_note(cfg, "features/hyperv is left out: only a guest of type kvm can have enlightenments");
	for (node = hyperv && cfg->type == DOM_TYPE_KVM ? hyperv->children : NULL; !r && node; node = node->next)
		if (node->type == XML_ELEMENT_NODE && !node->ns)
			r = parse_enlightenment(x, node, cfg);
	node = dx_child(dx_child(features, "kvm"), "hidden");
	if (!r && node)
		r = on_off(x, node, "state", &cfg->hvm.kvm_hidden);
	return r;
}

/* Clock ------------------------------------------------------------------------------------------------------------------- */

static int parse_timer(struct dx *x, const xmlNode *n, struct dom_config *cfg)
{
	_cleanup_free_ char *name = dx_attr(n, "name"), *policy = dx_attr(n, "tickpolicy");
	bool present;
	int r = on_off(x, n, "present", &present);

	if (r < 0)
		return r;
	if (!name)
		return dx_fail(x, n, "attribute name is missing");
	if (!strcmp(name, "hpet"))
		cfg->hvm.no_hpet = !present;
	else if (!strcmp(name, "rtc"))
		cfg->hvm.rtc_catchup = policy && !strcmp(policy, "catchup");
	else if (!strcmp(name, "hypervclock") && cfg->type == DOM_TYPE_KVM)
		cfg->hvm.hypervclock = present;
	else if (!strcmp(name, "hypervclock") && present)
		return dx_note(cfg, "clock/timer hypervclock is left out: only a guest of type kvm can have it");
	else if (!strcmp(name, "pit") && policy && strcmp(policy, "delay") && strcmp(policy, "discard"))
		return dx_note(cfg, "clock/timer pit has tickpolicy 'delay'");
	return 0;
}

static int parse_clock(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	static const char *const bases[] = { "utc", "localtime" };
	xmlNode *clock = dx_child(dom, "clock");
	_cleanup_free_ char *adjustment = clock ? dx_attr(clock, "adjustment") : NULL;
	long long adjust = 0;
	int i = 0, r = 0;

	if (!clock)
		return 0;
	if (cfg->clock == DOM_CLOCK_VARIABLE)
		r = number(x, clock, "adjustment", -ADJUST_MAX, ADJUST_MAX, &adjust);
	else if (adjustment && strcmp(adjustment, "reset"))
		r = dx_fail(x, clock, "adjustment goes with offset 'variable'");
	if (!r)
		r = choice(x, clock, "basis", bases, ARRAY_SIZE(bases), &i);
	cfg->hvm.clock_adjust_s = adjust;
	cfg->hvm.clock_basis_local = i == 1;
	if (!r && cfg->clock == DOM_CLOCK_VARIABLE)
		r = dx_note(
			cfg,
			"clock starts with the adjustment of the document: what the guest sets its clock to is not kept "
			"beyond its end");
	for (xmlNode *n = dx_child(clock, "timer"); !r && n; n = dx_next(n))
		r = parse_timer(x, n, cfg);
	return r;
}

static int parse_pm(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	xmlNode *pm = dx_child(dom, "pm"), *mem = dx_child(pm, "suspend-to-mem"),
		*disk = dx_child(pm, "suspend-to-disk");
	bool on = true;
	int r = mem ? on_off(x, mem, "enabled", &on) : 0;

	cfg->hvm.no_s3 = !on;
	on = true;
	if (!r && disk)
		r = on_off(x, disk, "enabled", &on);
	cfg->hvm.no_s4 = !on;
	return r;
}

int dx_parse_hvm(struct dx *x, const xmlNode *domain, struct dom_config *cfg)
{
	int r = parse_cpu(x, domain, cfg);

	if (!r)
		r = parse_features(x, domain, cfg);
	if (!r)
		r = parse_clock(x, domain, cfg);
	if (!r)
		r = parse_pm(x, domain, cfg);
	return r == -ENOMEM ? oom(x) : r;
}

/* Devices ----------------------------------------------------------------------------------------------------------------- */

static int parse_video(struct dx *x, const xmlNode *node, struct dom_config *cfg)
{
	/* those of enum dom_video first */
	static const char *const models[] = { "none",  "vga",  "bochs", "cirrus", "virtio", "qxl",
		                              "vmvga", "vbox", "ramfb", "xen",    "gop" };
	xmlNode *model = dx_child(node, "model");
	long long vram = 0;
	int i = 1, r;

	if (cfg->hvm.video != DOM_VIDEO_NONE)
		return dx_note(cfg, "devices/video: only the first one is there");
	if (!model)
		return dx_fail(x, node, "<model type='...'/> is missing");
	if ((r = choice(x, model, "type", models, ARRAY_SIZE(models), &i)) < 0 ||
	    (r = number(x, model, "vram", 0, 1 << 20, &vram)) < 0)
		return r;
	if (!dom_arch(cfg)->pc && i && i != DOM_VIDEO_BOCHS) {
		cfg->hvm.video = DOM_VIDEO_BOCHS;
		return dx_note(cfg, "devices/video of model '%s' is model 'bochs'", models[i]);
	}
	cfg->hvm.video = i > DOM_VIDEO_VIRTIO ? DOM_VIDEO_VGA : (enum dom_video)i;
	if (i == 1)
		cfg->hvm.vram_kib = (unsigned)vram;
	return i > DOM_VIDEO_VIRTIO ? dx_note(cfg, "devices/video of model '%s' is model 'vga'", models[i]) : 0;
}

static int parse_input(struct dx *x, const xmlNode *node, struct dom_config *cfg)
{
	static const char *const types[] = {
		[DOM_INPUT_TABLET] = "tablet", [DOM_INPUT_KEYBOARD] = "keyboard", [DOM_INPUT_MOUSE] = "mouse"
	};
	_cleanup_free_ char *type = dx_attr(node, "type"), *bus = dx_attr(node, "bus");
	int i = dx_index(type, types, ARRAY_SIZE(types));

	if (!type)
		return dx_fail(x, node, "attribute type is missing");
	if (!strcmp(type, "passthrough") || !strcmp(type, "evdev"))
		return dx_fail(x, node, "type '%s' is not supported: a device of the host's cannot move with the guest",
		               type);
	if (i < 0)
		return dx_fail(x, node, "type '%.40s' is not supported (tablet, keyboard, mouse)", type);
	/* every PC has these two */
	if (i != DOM_INPUT_TABLET && dom_arch(cfg)->pc && (!bus || !strcmp(bus, "ps2")))
		return 0;
	if (cfg->hvm.n_inputs == DOM_INPUTS_MAX)
		return dx_fail(x, node, "more than %d of them", DOM_INPUTS_MAX);
	cfg->hvm.input[cfg->hvm.n_inputs++] = (enum dom_input)i;
	cfg->hvm.usb = true;
	if (bus && strcmp(bus, "usb"))
		return dx_note(cfg, "devices/input: the %s is on bus 'usb'", type);
	return 0;
}

static int parse_controllers(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	for (xmlNode *n = dx_child(devices, "controller"); n; n = dx_next(n)) {
		_cleanup_free_ char *type = dx_attr(n, "type"), *model = dx_attr(n, "model");
		int r = 0;

		if (type && !strcmp(type, "scsi") && model && strncmp(model, "virtio-", 7))
			r = dx_note(
				cfg,
				"devices/controller: SCSI is by model 'virtio-scsi', for which the guest needs a driver");
		if (r || !type || strcmp(type, "usb")) {
			if (r)
				return r;
			continue;
		}
		if (model && !strcmp(model, "none")) {
			if (cfg->hvm.usb)
				return dx_fail(x, n, "there is no USB for the <input> or <disk> of bus 'usb'");
			continue;
		}
		cfg->hvm.usb = true;
		if (model && strcmp(model, "qemu-xhci"))
			r = dx_note(cfg, "devices/controller: USB is by model 'qemu-xhci'");
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_watchdog_model(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	static const char *const models[] = { [DOM_WATCHDOG_NO_DEVICE] = NULL,
		                              [DOM_WATCHDOG_I6300ESB] = "i6300esb",
		                              [DOM_WATCHDOG_IB700] = "ib700",
		                              [DOM_WATCHDOG_ITCO] = "itco" };
	static const char *const named[] = { "i6300esb", "ib700", "itco" };
	xmlNode *node = dx_child(devices, "watchdog");
	int i = 0, r = node ? dx_need_choice(x, node, "model", named, ARRAY_SIZE(named), &i) : 0;

	if (r < 0 || !node)
		return r;
	cfg->hvm.watchdog = (enum dom_watchdog_model)dx_index(named[i], models, ARRAY_SIZE(models));
	const struct dom_machine *machine = dom_machine(cfg, NULL);
	if (cfg->hvm.watchdog == DOM_WATCHDOG_ITCO && dom_arch(cfg)->pc && machine && !machine->itco)
		return dx_fail(x, node, "model 'itco' is in machines of type q35 only");
	return 0;
}

static int parse_reporting(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	xmlNode *node = dx_child(devices, "memballoon");

	return xmlHasProp(node, (const xmlChar *)"freePageReporting")
	               ? on_off(x, node, "freePageReporting", &cfg->hvm.page_reporting)
	               : 0;
}

/* As libvirt: 0 and none are the same. */
static int parse_stats(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	long long period = 0;
	xmlNode *node;
	int r = dx_single(x, dx_child(devices, "memballoon"), "stats", &node);

	if (!r && node)
		r = number(x, node, "period", 0, DOM_STATS_PERIOD_MAX, &period);
	cfg->hvm.stats_period_s = (unsigned)period;
	return r;
}

int dx_parse_hvm_devices(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	int r = 0;

	for (xmlNode *n = dx_child(devices, "video"); !r && n; n = dx_next(n))
		r = parse_video(x, n, cfg);
	for (xmlNode *n = dx_child(devices, "input"); !r && n; n = dx_next(n))
		r = parse_input(x, n, cfg);
	if (!r)
		r = dx_parse_graphics(x, devices, cfg);
	if (!r)
		r = parse_controllers(x, devices, cfg);
	if (!r)
		r = parse_watchdog_model(x, devices, cfg);
	if (!r && cfg->balloon)
		r = parse_reporting(x, devices, cfg);
	if (!r && cfg->balloon)
		r = parse_stats(x, devices, cfg);
	return r == -ENOMEM ? oom(x) : r;
}
