/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions are files <state>/domains/NAME.xml: made, changed, removed, read. See vmhost.h. */
#include "config.h"
#include "tools/vmhost.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"

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

/* The domain that @cfg changes, if it names no uuid; *@ret stays NULL if there is none. */
static int find_old(const struct dom_config *cfg, struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	int r = cfg->uuid_given ? -ENOENT : vmhost_definition_path(cfg->name, &path, err);

	if (!r)
		r = dom_config_load(path, ret, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0 && path) /* a new uuid would make it another domain, unasked */
		return err_set(err, r,
		               "domain '%s' has a definition that cannot be read (%s): give its <uuid> here, "
		               "or vmctl undefine %s first",
		               cfg->name, why.text, cfg->name);
	return r;
}

/* The XML to be kept or started of @cfg, which is not another domain's; malloc'd. */
static int settle(struct dom_config *cfg, char **ret, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *old = NULL;
	_cleanup_free_ char *xml = NULL;
	int r = find_old(cfg, &old, err);

	if (!r)
		r = dom_config_settle(cfg, old ? old->uuid : NULL, &xml, err);
	if (!r)
		r = check_clash(cfg, err);
	if (!r)
		*ret = steal_ptr(&xml);
	return r;
}

int vmhost_start_once(struct dom_config *cfg, struct hvlaunch *l, const struct vmhost_while *w, struct err *err)
{
	_cleanup_free_ char *xml = NULL, *dir = xasprintf("%s/starting", path_run()),
			    *path = xasprintf("%s/%s.%d.xml", dir, cfg->name, (int)gettid());
	int r = settle(cfg, &xml, err);

	if (r < 0)
		return r;
	if (managed_listed(cfg->name, NULL))
		return err_set(err, EPERM,
		               "'%s' is a domain of the cluster, which decides where it runs: vmclus start %s",
		               cfg->name, cfg->name);
	if (vmhost_is_running(cfg->name))
		return err_set(err, EEXIST, "domain '%s' is already running", cfg->name);
	r = mkdir_p(dir, 0700);
	if (!r)
		r = file_write_atomic(path, xml, strlen(xml), 0600);
	if (r < 0)
		return err_sys(err, r, "write %s", path);
	l->name = cfg->name;
	l->config = path;
	r = vmhost_launch(l, w, err);
	l->config = NULL;
	unlink(path); /* hvdom has read it */
	return r;
}

int vmhost_define(struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *xml = NULL, *path = NULL, *dir = dompath_definitions();
	int r = settle(cfg, &xml, err);

	if (!r)
		r = vmhost_definition_path(cfg->name, &path, err);
	if (r < 0)
		return r;
	r = mkdir_p(dir, 0755);
	if (!r)
		r = file_write_atomic(path, xml, strlen(xml), 0600);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

int vmhost_undefine(const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = vmhost_definition_path(name, &path, err);

	if (r < 0)
		return r;
	if (!unlink(path))
		return 0;
	if (errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	return err_set(err, ENOENT, "no definition of domain '%s'; vmctl list --all shows those that there are", name);
}

/* Where its screen is, too: hvdom's own text goes to other hosts, which choose anew. */
static int running_xml(struct hvcall *c, char **ret, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *xml = NULL;
	struct hv_display d = { 0 };
	int r = vmhost_running_xml(c, &xml, err);

	if (r < 0)
		return r;
	/* an hvdom of before has no such call */
	if (hvcall_simple(c, HV_OP_DISPLAY, NULL, 0, &d, sizeof(d), NULL) < 0 || d.kind == HV_DISPLAY_NONE) {
		*ret = steal_ptr(&xml);
		return 0;
	}
	d.place[sizeof(d.place) - 1] = 0;
	r = dom_config_parse(xml, strlen(xml), "hvdom", &cfg, err);
	if (!r && dom_config_show_screen(cfg, d.place, d.kind == HV_DISPLAY_PORT ? d.port : 0) < 0)
		r = err_set(err, ENOMEM, "out of memory");
	return r < 0 ? r : dom_config_format(cfg, ret, err);
}

int vmhost_xml(const char *name, bool inactive, char **ret, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	int r = vmhost_definition_path(name, &path, err);

	if (r < 0)
		return r;
	if (!inactive && (access(path, F_OK) || vmhost_is_running(name))) {
		r = vmhost_connect(&c, name, err);
		return r < 0 ? r : running_xml(&c, ret, err);
	}
	r = dom_config_load(path, &cfg, err);
	if (r == -ENOENT)
		return err_set(err, r, "no definition of domain '%s'", name);
	return r < 0 ? r : dom_config_format(cfg, ret, err);
}
