/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See firmware.h. */
#include "config.h"
#include "hypervisor/api/firmware.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/domarch.h"

#define DESC_BYTES_MAX 65536u
#define FLASH_BLOCK    4096u

const char *const firmware_dirs[] = { "/etc/qemu/firmware", "/usr/share/qemu/firmware", NULL };

void firmware_done(struct firmware *fw)
{
	free(fw->code);
	free(fw->template);
	*fw = (struct firmware){ 0 };
}

char *firmware_nvram_path(const struct dom_config *cfg)
{
	if (!cfg->fw.efi)
		return NULL;
	if (cfg->fw.nvram)
		return strdup(cfg->fw.nvram);
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		if (k->type == DOM_DISK_FILE && !k->readonly && !k->shareable)
			return xasprintf("%.*s/%s_VARS.fd", (int)(strrchr(k->source, '/') - k->source), k->source,
			                 cfg->name);
	}
	return NULL;
}

/* Descriptors --------------------------------------------------------------------------------------------------- */

static bool has(const json_t *list, const char *text)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		if (json_is_string(v) && !strcmp(json_string_value(v), text))
			return true;
	}
	return false;
}

static bool has_machine(const json_t *desc, const struct dom_config *cfg, const char *machine)
{
	size_t i, k;
	json_t *target, *m;

	json_array_foreach(json_object_get(desc, "targets"), i, target)
	{
		const char *arch = json_string_value(json_object_get(target, "architecture"));
		if (!arch || strcmp(arch, dom_arch(cfg)->name))
			continue;
		json_array_foreach(json_object_get(target, "machines"), k, m)
		{
			if (json_is_string(m) && !fnmatch(json_string_value(m), machine, 0))
				return true;
		}
	}
	return false;
}

static const char *file_of(const json_t *desc, const char *which)
{
	const json_t *o = json_object_get(json_object_get(desc, "mapping"), which);
	const char *format = json_string_value(json_object_get(o, "format"));
	const char *name = json_string_value(json_object_get(o, "filename"));

	return format && name && !strcmp(format, "raw") && *name == '/' ? name : NULL;
}

static bool agrees(enum dom_switch wanted, bool there)
{
	return wanted == DOM_SWITCH_ANY || there == (wanted == DOM_SWITCH_YES);
}

/* Secure Boot that nobody asked for would refuse what boots without it. */
static bool fits(const json_t *desc, const struct dom_config *cfg, const char *machine)
{
	const struct dom_firmware *fw = &cfg->fw;
	const json_t *mapping = json_object_get(desc, "mapping"), *f = json_object_get(desc, "features");
	const char *device = json_string_value(json_object_get(mapping, "device"));
	const char *mode = json_string_value(json_object_get(mapping, "mode"));
	bool secure = fw->secure == DOM_SWITCH_YES || fw->secure_boot == DOM_SWITCH_YES ||
	              fw->enrolled_keys == DOM_SWITCH_YES;

	return device && !strcmp(device, "flash") && (!mode || !strcmp(mode, "split")) &&
	       has(json_object_get(desc, "interface-types"), "uefi") && file_of(desc, "executable") &&
	       file_of(desc, "nvram-template") && has_machine(desc, cfg, machine) && has(f, "secure-boot") == secure &&
	       agrees(fw->enrolled_keys, has(f, "enrolled-keys")) && agrees(fw->secure, has(f, "requires-smm"));
}

static int is_json(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && !strcmp(dot, ".json");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **v;
	size_t n;
};

static void names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

/* Each name once, sorted. */
static int list_names(const char *const *dirs, struct names *l)
{
	for (; *dirs; dirs++) {
		DIR *d = opendir(*dirs);
		for (struct dirent *e; d && (e = readdir(d));) {
			bool known = !is_json(e);
			for (size_t i = 0; i < l->n && !known; i++)
				known = !strcmp(l->v[i], e->d_name);
			char **v = known ? NULL : realloc(l->v, (l->n + 1) * sizeof(*v));
			if (v)
				l->v = v;
			if (!known && (!v || !(l->v[l->n] = strdup(e->d_name)))) {
				closedir(d);
				return -ENOMEM;
			}
			l->n += !known;
		}
		if (d)
			closedir(d);
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
	return 0;
}

/*
 * The descriptor of that name, from the first directory that has one; NULL: it is empty (which hides others) or
 * none. Owned.
 */
static json_t *read_desc(const char *const *dirs, const char *name)
{
	for (; *dirs; dirs++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", *dirs, name), *text = NULL;
		size_t len;
		int r = file_read(path, DESC_BYTES_MAX, &text, &len);

		if (r == -ENOENT)
			continue;
		return r < 0 ? NULL : json_loadb(text, len, 0, NULL);
	}
	return NULL;
}

/* The first one that @cfg takes, or, where it names its loader, the first one with that. NULL: none. Owned. */
static json_t *find_desc(const char *const *dirs, const struct dom_config *cfg, const char *machine, int *ret)
{
	struct names l = { 0 };
	json_t *found = NULL;

	*ret = list_names(dirs, &l);
	for (size_t i = 0; i < l.n && !*ret && !found; i++) {
		json_t *o = read_desc(dirs, l.v[i]);
		const char *code = file_of(o, "executable");
		if (cfg->fw.loader ? code && !strcmp(code, cfg->fw.loader) : fits(o, cfg, machine))
			found = o;
		else
			json_decref(o);
	}
	names_done(&l);
	return found;
}

/* What is found ------------------------------------------------------------------------------------------------- */

/*
 * As distributions name them: X_CODE.fd, X_CODE_4M.secboot.fd and so on begin with X_VARS.fd, X_VARS_4M.fd.
 * NULL: not there.
 */
static char *template_beside(const char *code)
{
	const char *base = strrchr(code, '/'), *at = base ? strstr(base, "CODE") : NULL;
	_cleanup_free_ char *path = at ? xasprintf("%.*sVARS%s", (int)(at - code), code, at + 4) : NULL;
	char *dot = path ? strstr(path + (at - code), ".secboot") : NULL;

	if (dot)
		memmove(dot, dot + 8, strlen(dot + 8) + 1);
	return path && access(path, F_OK) == 0 ? steal_ptr(&path) : NULL;
}

static int size_of(const char *path, size_t max, const char *what, const char *package, size_t *ret, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "%s %s (the package %s has UEFI)", what, path, package);
	if (!S_ISREG(st.st_mode) || !st.st_size || (size_t)st.st_size > max || st.st_size % FLASH_BLOCK)
		return err_set(err, EINVAL,
		               "%s %s is no image of a flash memory (a multiple of %u octets, at most %zu MiB)", what,
		               path, FLASH_BLOCK, max >> 20);
	*ret = (size_t)st.st_size;
	return 0;
}

static int none(const struct dom_config *cfg, const char *machine, struct err *err)
{
	const struct dom_firmware *fw = &cfg->fw;

	return err_set(
		err, ENOENT,
		"this host has no UEFI firmware for domain '%s' (machine %s%s%s): install the package %s, or name a "
		"<loader>",
		cfg->name, machine,
		fw->secure == DOM_SWITCH_YES || fw->secure_boot == DOM_SWITCH_YES ? ", Secure Boot" : "",
		fw->enrolled_keys == DOM_SWITCH_YES  ? ", with enrolled keys"
		: fw->enrolled_keys == DOM_SWITCH_NO ? ", without enrolled keys"
						     : "",
		dom_arch(cfg)->firmware_package);
}

/* The template's size, or that of the file which is there already. */
static int measure(const struct dom_config *cfg, struct firmware *fw, struct err *err)
{
	_cleanup_free_ char *nvram = firmware_nvram_path(cfg);
	const struct dom_arch_info *arch = dom_arch(cfg);
	const char *package = arch->firmware_package;
	int r = size_of(fw->code, arch->code_bytes_max, "loader", package, &fw->code_bytes, err);

	if (r < 0)
		return r;
	if (!nvram)
		return err_set(
			err, EINVAL,
			"domain '%s' has no image file beside which its firmware's variables could be kept: name a file "
			"for them, <nvram>/PATH</nvram> in <os>",
			cfg->name);
	if (fw->template)
		return size_of(fw->template, arch->vars_bytes_max, "nvram template", package, &fw->vars_bytes, err);
	if (access(nvram, F_OK) < 0)
		return err_set(err, ENOENT,
		               "no template is known for the variables of %s: name one, <nvram template='...'>",
		               fw->code);
	return size_of(nvram, arch->vars_bytes_max, "nvram", package, &fw->vars_bytes, err);
}

int firmware_find_in(const char *const *dirs, const struct dom_config *cfg, struct firmware *ret, struct err *err)
{
	const struct dom_machine *known = dom_machine(cfg, err);
	_cleanup_firmware_ struct firmware fw = { 0 };
	int r;

	if (!known)
		return -ENOTSUP;
	const char *m = cfg->machine ? cfg->machine : known->alias;
	const char *machine = !strcmp(m, known->alias) ? known->current : m;
	json_t *desc = find_desc(dirs, cfg, machine, &r);
	const char *code = cfg->fw.loader ? cfg->fw.loader : file_of(desc, "executable");
	const char *template = cfg->fw.template ? cfg->fw.template : file_of(desc, "nvram-template");

	if (!r && code) {
		fw.code = strdup(code);
		fw.template = template ? strdup(template) : template_beside(code);
		fw.smm = cfg->fw.secure == DOM_SWITCH_YES || has(json_object_get(desc, "features"), "requires-smm");
		if (!fw.code || (template && !fw.template))
			r = -ENOMEM;
	}
	json_decref(desc);
	if (r < 0)
		return err_sys(err, -r, "cannot look for firmware");
	if (!code)
		return none(cfg, m, err);
	if (fw.smm && cfg->fw.secure == DOM_SWITCH_NO)
		return err_set(err, EINVAL, "loader %s is built for SMM: <loader secure='yes'>", fw.code);
	if (fw.smm && !known->smm)
		return err_set(err, ENOTSUP, "loader %s needs SMM, which only machine q35 has, not %s", fw.code, m);
	r = measure(cfg, &fw, err);
	if (r < 0)
		return r;
	*ret = fw;
	fw = (struct firmware){ 0 };
	return 0;
}

int firmware_find(const struct dom_config *cfg, struct firmware *ret, struct err *err)
{
	return firmware_find_in(firmware_dirs, cfg, ret, err);
}
