/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See pathconf.h. */
#include "config.h"
#include "hypervisor/api/pathconf.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "common/jsonplain.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/firmware.h"

static int add_defaults(struct path_rules *p)
{
	static const struct {
		enum path_kind kind;
		const char *dir;
	} fixed[] = {
		{ PATH_IMAGE, "/var/lib/libvirt/images" },
		{ PATH_IMAGE, "/var/lib/libvirt/qemu/nvram" },
		{ PATH_IMAGE, "/srv" },
		{ PATH_IMAGE, "/mnt" },
		{ PATH_IMAGE, "/media" },
		{ PATH_DEVICE, "/dev/mapper" },
		{ PATH_DEVICE, "/dev/zvol" },
		{ PATH_DEVICE, "/dev/drbd" },
		{ PATH_KERNEL, "/usr" },
		{ PATH_KERNEL, "/boot" },
	};
	int r = path_rules_add(p, PATH_IMAGE, xasprintf("%s/images", path_state()));

	if (r == 0)
		r = path_rules_add(p, PATH_IMAGE, xasprintf("%s/shared", path_state()));
	if (r == 0)
		r = path_rules_add(p, PATH_OUTPUT, xasprintf("%s", path_log()));
	if (r == 0)
		r = path_rules_add(p, PATH_SOCKET, xasprintf("%s", path_run()));
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		r = path_rules_add(p, fixed[i].kind, xasprintf("%s", fixed[i].dir));
	return r;
}

static int add_list(struct path_rules *p, enum path_kind kind, json_t *list, const char *path, struct err *err)
{
	size_t i;
	json_t *v;

	if (list && !json_is_array(list))
		return err_set(err, EINVAL, "%s: \"%s\" is a list of directories", path, path_kind_key(kind));
	json_array_foreach(list, i, v)
	{
		const char *dir = json_string_value(v);

		if (!dir || strlen(dir) != json_string_length(v) || path_rules_add(p, kind, xasprintf("%s", dir)) < 0)
			return err_set(err, EINVAL,
			               "%s: \"%s\": absolute directories without \".\" and \"..\", at most %u of them",
			               path, path_kind_key(kind), PATH_ROOTS_MAX);
	}
	return 0;
}

static int read_object(struct path_rules *p, json_t *o, const char *path, struct err *err)
{
	const char *name, *text;
	json_t *v;

	json_object_foreach(o, name, v)
	{
		size_t k = 0;
		int r;

		if (!strcmp(name, "local")) {
			text = json_string_value(v);
			if (!text || (strcmp(text, "any") && strcmp(text, "check")))
				return err_set(err, EINVAL, "%s: \"local\" is \"check\" or \"any\"", path);
			p->local_any = !strcmp(text, "any");
			continue;
		}
		while (k < PATH_KINDS && strcmp(name, path_kind_key((enum path_kind)k)))
			k++;
		if (k == PATH_KINDS)
			return err_set(err, EINVAL, "%s: unknown key \"%.40s\"", path, name);
		r = add_list(p, (enum path_kind)k, v, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int path_rules_load(struct path_rules *ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/paths.json", path_conf()), *text = NULL;
	json_error_t je;
	size_t len;
	int r;

	*ret = (struct path_rules){ 0 };
	if (add_defaults(ret) < 0) {
		path_rules_done(ret);
		return err_set(err, EINVAL, "the directories of this installation are not absolute paths");
	}
	r = file_read(path, 65536, &text, &len);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		json_plain(text, len);
	json_t *o = r < 0 ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (r < 0)
		r = err_sys(err, r, "read %s", path);
	else if (!json_is_object(o))
		r = err_set(err, EINVAL, "%s:%d: %s", path, o ? 1 : je.line, o ? "not an object" : je.text);
	else
		r = read_object(ret, o, path, err);
	json_decref(o);
	if (r < 0)
		path_rules_done(ret);
	return r;
}

int path_check_config(const struct path_rules *p, const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *nvram = firmware_nvram_path(cfg);
	int r = path_check(p, PATH_KERNEL, cfg->kernel, "kernel", err);

	if (r == 0)
		r = path_check(p, PATH_KERNEL, cfg->initrd, "initrd", err);
	if (r == 0)
		r = path_check(p, PATH_KERNEL, cfg->fw.loader, "loader", err);
	if (r == 0)
		r = path_check(p, PATH_KERNEL, cfg->fw.template, "nvram template", err);
	if (r == 0)
		r = path_check(p, PATH_IMAGE, nvram, "nvram", err);
	for (size_t i = 0; i < cfg->n_disks && r == 0; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		_cleanup_free_ char *what = xasprintf("disk %s", k->target);

		r = path_check(p, k->type == DOM_DISK_BLOCK ? PATH_DEVICE : PATH_IMAGE, k->source, what, err);
	}
	for (size_t i = 0; i < cfg->n_consoles && r == 0; i++) {
		const struct dom_char *c = &cfg->console[i];
		_cleanup_free_ char *what = xasprintf("console hvc%zu", i);

		r = path_check(p, PATH_OUTPUT, c->log, what, err);
		if (r == 0 && c->type == DOM_CHAR_FILE)
			r = path_check(p, PATH_OUTPUT, c->path, what, err);
	}
	return r < 0 ? r : path_check(p, PATH_SOCKET, cfg->hvm.display.socket, "graphics", err);
}

static void touch(const char *what, const char *path, void (*at)(void *arg, const char *what), void *arg)
{
	_cleanup_free_ char *text = path ? xasprintf("%s %s", what, path) : NULL;

	if (!path)
		return;
	at(arg, text);
	(void)!access(path, F_OK);
}

void path_touch_config(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg)
{
	_cleanup_free_ char *nvram = at ? firmware_nvram_path(cfg) : NULL;

	if (!at)
		return;
	touch("guest kernel", cfg->kernel, at, arg);
	touch("initrd", cfg->initrd, at, arg);
	touch("loader", cfg->fw.loader, at, arg);
	touch("nvram", nvram, at, arg);
	for (size_t i = 0; i < cfg->n_disks; i++) {
		_cleanup_free_ char *what = xasprintf("disk %s:", cfg->disk[i].target);

		touch(what, cfg->disk[i].source, at, arg);
	}
}
