/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl domifaddr, domfsfreeze, domfsthaw: what the guest's own agent is asked. */
#include "config.h"
#include "tools/vmctl_int.h"
#include "tools/vmhost_agent.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const struct vmhost_interface *f)
{
	for (size_t i = 0; i < f->n; i++)
		printf(" %-10s %-20s %-8s %s/%u\n", i ? "-" : f->name, i ? "-" : f->mac,
		       f->address[i].six ? "ipv6" : "ipv4", f->address[i].ip, f->address[i].prefix);
	if (!f->n)
		printf(" %-10s %-20s %-8s %s\n", f->name, f->mac, "-", "-");
}

static json_t *interface_json(const struct vmhost_interface *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:i}", "family", f->address[i].six ? "ipv6" : "ipv4",
		                                "address", f->address[i].ip, "prefix", (int)f->address[i].prefix));
	return json_pack("{s:s, s:s, s:o}", "name", f->name, "mac", f->mac, "addresses", list);
}

int vmctl_domifaddr(struct cli *v, struct err *err)
{
	_cleanup_free_ struct vmhost_interface *f = NULL;
	json_t *list = NULL;
	size_t n = 0;
	int r = vmhost_addresses(v->arg[0], &f, &n, err);

	if (r < 0)
		return err_prefix(err, "domifaddr %s", v->arg[0]);
	if (v->json)
		list = json_array();
	else
		printf(" %-10s %-20s %-8s %s\n%s\n", "Name", "MAC address", "Protocol", "Address",
		       "---------------------------------------------------------------");
	for (size_t i = 0; i < n; i++) {
		if (list)
			json_array_append_new(list, interface_json(&f[i]));
		else
			show(&f[i]);
	}
	return list ? vmctl_print_json(v, list, err) : 0;
}

int vmctl_domfsfreeze(struct cli *v, struct err *err)
{
	unsigned long seconds = VMHOST_FREEZE_S;
	unsigned n = 0;
	char *end;

	if (cli_opt(v, 0)) {
		seconds = strtoul(v->value[0], &end, 10);
		if (*end || !isdigit((unsigned char)*v->value[0]) || !seconds || seconds > VMHOST_FREEZE_S_MAX)
			return err_set(err, EINVAL, "--seconds \"%s\": a number from 1 to %u", v->value[0],
			               VMHOST_FREEZE_S_MAX);
	}
	int r = vmhost_freeze(v->arg[0], (unsigned)seconds, &n, err);
	if (r < 0)
		return err_prefix(err, "domfsfreeze %s", v->arg[0]);
	printf("Froze %u filesystem(s), for %lu s at most\n", n, seconds);
	return 0;
}

int vmctl_domfsthaw(struct cli *v, struct err *err)
{
	unsigned n = 0;
	int r = vmhost_thaw(v->arg[0], &n, err);

	if (r < 0)
		return err_prefix(err, "domfsthaw %s", v->arg[0]);
	printf("Thawed %u filesystem(s)\n", n);
	return 0;
}

void vmctl_set_time(const char *name)
{
	if (vmhost_agent_set_time(name, NULL) < 0)
		fprintf(stderr, "vmctl: note: the agent of guest '%s' did not set its clock\n", name);
}
