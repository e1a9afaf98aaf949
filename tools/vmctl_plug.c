/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl attach-device, detach-device: what virsh's commands of these names do, for disks and NICs. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

enum { OPT_LIVE, OPT_CONFIG, OPT_CURRENT, OPT_PERSISTENT };

/* What is changed: the running domain, its definition, or both. */
static int which(const struct cli *v, bool *live, bool *config, struct err *err)
{
	bool runs = vmhost_is_running(v->arg[0]), persistent = cli_opt(v, OPT_PERSISTENT);

	*live = cli_opt(v, OPT_LIVE);
	*config = cli_opt(v, OPT_CONFIG) || persistent;
	if (cli_opt(v, OPT_CURRENT) && (*live || *config))
		return err_set(err, CLI_EUSAGE, "--current does not go together with --live, --config, --persistent");
	if ((!*live && !*config) || persistent)
		*live = runs;
	if (!*live && !*config)
		*config = true;
	if (*live && !runs)
		return err_set(err, ESRCH, "domain '%s' does not run", v->arg[0]);
	return 0;
}

static int read_file(const char *file, char **text, struct vmhost_device *ret, struct err *err)
{
	const char *path = strcmp(file, "-") ? file : "/dev/stdin";
	int r = file_read(path, DOM_XML_MAX, text, &ret->len);

	ret->xml = *text;
	ret->origin = file;
	return r < 0 ? err_sys(err, -r, "read %s", file) : 0;
}

int vmctl_attach_device(struct cli *v, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct hv_attach_rep rep = { 0 };
	struct vmhost_device dev;
	bool live, config;
	int r = which(v, &live, &config, err);

	if (!r)
		r = read_file(v->arg[1], &text, &dev, err);
	/* what the definition refuses is not given to the guest either */
	if (!r && config && live)
		r = vmhost_attach_config(v->arg[0], &dev, 0, false, err);
	if (!r && live)
		r = vmhost_attach(v->arg[0], &dev, &rep, err);
	if (!r && config) {
		r = vmhost_attach_config(v->arg[0], &dev, rep.place, true, err);
		if (r < 0 && live)
			return err_prefix(err, "the running domain '%s' has %.16s, its definition has not", v->arg[0],
			                  rep.name);
	}
	if (r < 0)
		return r == -CLI_EUSAGE ? r : err_prefix(err, "attach-device %s", v->arg[0]);
	if (live)
		printf("Domain '%s' has %.16s now%s\n", v->arg[0], rep.name, config ? ", and in its definition" : "");
	else
		printf("The definition of domain '%s' has the device%s\n", v->arg[0],
		       vmhost_is_running(v->arg[0]) ? "; the domain has it from its next start on" : "");
	return 0;
}

/* @what: a file with the device, else its name. */
static int key_of(const char *what, char ret[24], struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct vmhost_device dev;

	if (strcmp(what, "-") && !strchr(what, '/') && !strchr(what, '.')) {
		if (!*what || strlen(what) >= 20)
			return err_set(err, EINVAL,
			               "'%s' is no device: a disk's target (vdb), a NIC's MAC address, or a file",
			               what);
		strcpy(ret, what);
		return 0;
	}
	int r = read_file(what, &text, &dev, err);
	return r < 0 ? r : dom_device_key(dev.xml, dev.len, dev.origin, ret, err);
}

int vmctl_detach_device(struct cli *v, struct err *err)
{
	char key[24];
	bool live, config;
	int r = which(v, &live, &config, err);

	if (!r)
		r = key_of(v->arg[1], key, err);
	if (!r && config && live)
		r = vmhost_detach_config(v->arg[0], key, false, err);
	if (!r && live)
		r = vmhost_detach(v->arg[0], key, err);
	if (!r && config) {
		r = vmhost_detach_config(v->arg[0], key, true, err);
		if (r < 0 && live)
			return err_prefix(err, "%s has left the running domain '%s', its definition has it still", key,
			                  v->arg[0]);
	}
	if (r < 0)
		return r == -CLI_EUSAGE ? r : err_prefix(err, "detach-device %s", v->arg[0]);
	printf("%s has left %s '%s'\n", key, live ? "domain" : "the definition of domain", v->arg[0]);
	return 0;
}
