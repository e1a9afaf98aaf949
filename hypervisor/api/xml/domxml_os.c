/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what of <os> says how a guest with a kernel of its own boots: firmware, its variables, boot order. See
 * domcfg.h. What would be
 * another machine if it were left out is refused by its name.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

#define BOOT_ORDER_MAX 1000

static int oom(struct dx *x)
{
	return err_sys(x->err, ENOMEM, "%s", x->origin);
}

/* An attribute that may have one value only, or be missing. */
static int only(struct dx *x, const xmlNode *node, const char *name, const char *value)
{
	_cleanup_free_ char *text = dx_attr(node, name);

	if (text && strcmp(text, value))
		return dx_fail(x, node, "%s '%.40s' is not supported (%s)", name, text, value);
	return 0;
}

/* yes or no; what it was before if it is missing. */
static int yes_no(struct dx *x, const xmlNode *node, const char *name, enum dom_switch *ret)
{
	_cleanup_free_ char *text = dx_attr(node, name);

	if (text && strcmp(text, "yes") && strcmp(text, "no"))
		return dx_fail(x, node, "%s '%.40s' is neither yes nor no", name, text);
	if (text)
		*ret = !strcmp(text, "yes") ? DOM_SWITCH_YES : DOM_SWITCH_NO;
	return 0;
}

static int path_of(struct dx *x, const xmlNode *node, const char *what, char *text, char **ret)
{
	int r = text ? dx_path(x, node, what, text) : oom(x);

	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

static int parse_loader(struct dx *x, const xmlNode *os, struct dom_firmware *fw)
{
	_cleanup_free_ char *type = NULL;
	enum dom_switch stateless = DOM_SWITCH_ANY, readonly = DOM_SWITCH_ANY;
	xmlNode *node;
	int r = dx_single(x, os, "loader", &node);

	if (r < 0 || !node)
		return r;
	type = dx_attr(node, "type");
	_cleanup_free_ char *text = dx_text(node);
	if (!text)
		return oom(x);
	if (*text && (!type || strcmp(type, "pflash")))
		return dx_fail(x, node,
		               "type '%.40s' is not supported (pflash); without <loader> the guest boots by SeaBIOS",
		               type ?: "rom");
	if ((r = yes_no(x, node, "readonly", &readonly)) < 0 || (r = yes_no(x, node, "stateless", &stateless)) < 0 ||
	    (r = yes_no(x, node, "secure", &fw->secure)) < 0 || (r = only(x, node, "format", "raw")) < 0)
		return r;
	if (readonly == DOM_SWITCH_NO || stateless == DOM_SWITCH_YES)
		return dx_fail(x, node, "%s is not supported: the firmware is read-only, its variables are in <nvram>",
		               readonly == DOM_SWITCH_NO ? "readonly='no'" : "stateless='yes'");
	if (!*text) /* attributes only: they choose among this host's */
		return 0;
	fw->efi = true;
	return path_of(x, node, "", steal_ptr(&text), &fw->loader);
}

/* <nvram>PATH</nvram>, or <source file='PATH'/> in it */
static int parse_nvram(struct dx *x, const xmlNode *os, struct dom_firmware *fw)
{
	xmlNode *node, *source;
	int r = dx_single(x, os, "nvram", &node);

	if (r < 0 || !node)
		return r;
	if ((r = only(x, node, "type", "file")) < 0 || (r = only(x, node, "format", "raw")) < 0 ||
	    (r = only(x, node, "templateFormat", "raw")) < 0 || (r = dx_single(x, node, "source", &source)) < 0)
		return r;
	char *template = dx_attr(node, "template");
	if (template && (r = path_of(x, node, "template ", template, &fw->template)) < 0)
		return r;
	char *path = source ? dx_attr(source, "file") : dx_text(node);
	if (!source && path && !*path) {
		free(path);
		return 0;
	}
	if (source && !path)
		return dx_fail(x, source, "attribute file is missing");
	return path_of(x, node, "", path, &fw->nvram);
}

static int parse_features(struct dx *x, const xmlNode *os, struct dom_firmware *fw)
{
	xmlNode *node;
	int r = dx_single(x, os, "firmware", &node);

	for (xmlNode *f = r < 0 ? NULL : dx_child(node, "feature"); f; f = dx_next(f)) {
		_cleanup_free_ char *name = dx_attr(f, "name");
		enum dom_switch *to = !name                            ? NULL
		                      : !strcmp(name, "secure-boot")   ? &fw->secure_boot
		                      : !strcmp(name, "enrolled-keys") ? &fw->enrolled_keys
		                                                       : NULL;
		if (!to)
			return dx_fail(x, f, "name '%.40s' is not supported (secure-boot, enrolled-keys)", name ?: "");
		r = yes_no(x, f, "enabled", to);
		if (r == 0 && *to == DOM_SWITCH_ANY)
			r = dx_fail(x, f, "attribute enabled is missing");
		if (r < 0)
			return r;
	}
	if (r == 0 && fw->enrolled_keys == DOM_SWITCH_YES && fw->secure_boot == DOM_SWITCH_NO)
		r = dx_fail(x, node, "enrolled-keys needs secure-boot");
	return r;
}

static int parse_firmware(struct dx *x, const xmlNode *os, struct dom_firmware *fw)
{
	_cleanup_free_ char *name = dx_attr(os, "firmware");
	int r;

	if (name && strcmp(name, "bios") && strcmp(name, "efi"))
		return dx_fail(x, os, "firmware '%.40s' is not supported (bios, efi)", name);
	fw->efi = name && !strcmp(name, "efi");
	if ((r = parse_loader(x, os, fw)) < 0 || (r = parse_nvram(x, os, fw)) < 0 ||
	    (r = parse_features(x, os, fw)) < 0)
		return r;
	if (fw->loader && name && !strcmp(name, "bios"))
		return dx_fail(x, os, "firmware 'bios' does not go with a <loader> of UEFI");
	if (!fw->efi && (fw->nvram || fw->template || fw->secure == DOM_SWITCH_YES ||
	                 fw->secure_boot == DOM_SWITCH_YES || fw->enrolled_keys == DOM_SWITCH_YES))
		return dx_fail(x, os, "variables and Secure Boot are UEFI's: firmware='efi' or a <loader> is missing");
	return 0;
}

static int parse_boot_devs(struct dx *x, const xmlNode *os, struct dom_config *cfg)
{
	for (xmlNode *node = dx_child(os, "boot"); node; node = dx_next(node)) {
		_cleanup_free_ char *dev = dx_attr(node, "dev");
		int i = dev ? dx_index(dev, dx_boot_devs, ARRAY_SIZE(dx_boot_devs)) : -1;

		if (i < 0)
			return dx_fail(x, node, "dev '%.40s' is not supported (hd, cdrom, fd, network)", dev ?: "");
		if (cfg->n_boot == ARRAY_SIZE(cfg->boot))
			return dx_fail(x, node, "more than %zu of them", ARRAY_SIZE(cfg->boot));
		cfg->boot[cfg->n_boot++] = (enum dom_boot)i;
	}
	return 0;
}

int dx_parse_boot(struct dx *x, const xmlNode *os, struct dom_config *cfg)
{
	int r = parse_firmware(x, os, &cfg->fw);

	return r ? r : parse_boot_devs(x, os, cfg);
}

int dx_parse_order(struct dx *x, const xmlNode *device, const struct dom_config *cfg, unsigned *ret)
{
	xmlNode *node;
	_cleanup_free_ char *text = NULL;
	char *end;
	int r = dx_single(x, device, "boot", &node);

	if (r < 0 || !node || cfg->type == DOM_TYPE_UML)
		return r;
	text = dx_attr(node, "order");
	long v = text && isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
	if (v < 1 || v > BOOT_ORDER_MAX || *end)
		return dx_fail(x, node, "order '%.20s' is not between 1 and %d", text ?: "", BOOT_ORDER_MAX);
	if (cfg->n_boot)
		return dx_fail(x, node,
		               "<boot order> of a device does not go with <boot dev> of <os>: leave one of them out");
	for (size_t i = 0; i < cfg->n_disks + cfg->n_nics; i++)
		if ((i < cfg->n_disks ? cfg->disk[i].boot_order : cfg->nic[i - cfg->n_disks].boot_order) == (unsigned)v)
			return dx_fail(x, node, "order %ld is given twice", v);
	*ret = (unsigned)v;
	return 0;
}
