/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl define, undefine, dumpxml: definitions are files <state>/domains/NAME.xml. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvcheck.h"

/* Another definition with the same uuid, or the same name with another uuid: that is a mistake, not a change. */
static int check_clash(const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *dir = dompath_definitions();
	struct dirent *e;
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, errno, "read %s", dir);
	while (!r && (e = readdir(d))) {
		_cleanup_dom_config_ struct dom_config *other = NULL;
		_cleanup_free_ char *path = NULL;
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".xml"))
			continue;
		path = xasprintf("%s/%s", dir, e->d_name);
		if (dom_config_load(path, &other, NULL) < 0)
			continue; /* a broken one shows when it is used */
		if (!strcmp(other->name, cfg->name) != !strcmp(other->uuid, cfg->uuid))
			r = err_set(
				err, EEXIST,
				"domain '%s' with uuid %s is defined already; change name or uuid, or vmctl undefine %s",
				other->name, other->uuid, other->name);
	}
	closedir(d);
	return r;
}

/* A definition without uuid changes the domain of that name: keep its uuid, and the MAC addresses that follow from it. */
static int keep_uuid(struct dom_config *cfg, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *old = NULL;
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	int r = cfg->uuid_given ? -ENOENT : vmctl_definition_path(cfg->name, &path, err);

	if (!r)
		r = dom_config_load(path, &old, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0 && path) /* a new uuid would make it another domain, unasked */
		return err_set(err, r,
		               "domain '%s' has a definition that cannot be read (%s): give its <uuid> here, "
		               "or vmctl undefine %s first",
		               cfg->name, why.text, cfg->name);
	if (!r)
		dom_config_set_uuid(cfg, old->uuid);
	return r;
}

/* What this host lacks does not make the definition wrong; another host may have it, or this one later. */
static void warn_engine(const struct dom_config *cfg)
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	int n = hvcheck_engines(e, NULL);

	for (int i = 0; i < n; i++)
		if (!strcmp(e[i].name, dom_engine(cfg)) && !e[i].runs)
			fprintf(stderr, "vmctl: warning: this host cannot run domain '%s' (engine %s): %s\n", cfg->name,
			        e[i].name, e[i].why);
}

int vmctl_define(struct cli *v, struct err *err)
{
	const char *file = strcmp(v->arg[0], "-") ? v->arg[0] : "/dev/stdin";
	_cleanup_free_ char *xml = NULL, *path = NULL, *dir = dompath_definitions();
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	int r = dom_config_load(file, &cfg, err);

	if (!r)
		r = dom_config_limits(cfg, err);
	if (!r)
		r = keep_uuid(cfg, err);
	if (!r)
		r = check_clash(cfg, err);
	if (!r)
		r = dom_config_format(cfg, &xml, err);
	if (!r)
		r = vmctl_definition_path(cfg->name, &path, err);
	if (r < 0)
		return r;
	r = mkdir_p(dir, 0755);
	if (!r)
		r = file_write_atomic(path, xml, strlen(xml), 0600);
	if (r < 0)
		return err_sys(err, r, "write %s", path);
	warn_engine(cfg);
	for (size_t i = 0; i < cfg->n_unknown; i++)
		fprintf(stderr, "vmctl: note: %s is kept but not used here\n", cfg->unknown[i]);
	for (size_t i = 0; i < cfg->n_notes; i++)
		fprintf(stderr, "vmctl: note: %s\n", cfg->note[i]);
	printf("Domain '%s' defined from %s\n", cfg->name, v->arg[0]);
	return 0;
}

int vmctl_undefine(struct cli *v, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = vmctl_definition_path(v->arg[0], &path, err);

	if (r < 0)
		return r;
	if (unlink(path) < 0) {
		if (errno != ENOENT)
			return err_sys(err, errno, "remove %s", path);
		return err_set(err, ENOENT, "no definition of domain '%s'; vmctl list --all shows those that there are",
		               v->arg[0]);
	}
	printf("Domain '%s' is no longer defined%s\n", v->arg[0],
	       vmctl_is_running(v->arg[0]) ? "; it runs on until it ends" : "");
	return 0;
}

int vmctl_dumpxml(struct cli *v, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *path = NULL, *xml = NULL;
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	int r = vmctl_definition_path(v->arg[0], &path, err);

	if (r < 0)
		return r;
	if (!cli_opt(v, 0) && (access(path, F_OK) || vmctl_is_running(v->arg[0]))) {
		r = vmctl_connect(&c, v->arg[0], err);
		if (!r)
			r = vmctl_running_xml(&c, &xml, err);
	} else {
		r = dom_config_load(path, &cfg, err);
		if (r == -ENOENT)
			return err_set(err, r, "no definition of domain '%s'", v->arg[0]);
		if (!r)
			r = dom_config_format(cfg, &xml, err);
	}
	if (!r)
		fputs(xml, stdout);
	return r;
}
