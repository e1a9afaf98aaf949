/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Relinquished copies without a session: see orphan.h. Short blocking hypercalls on the loop's thread, only when a person asks. */
#include "config.h"
#include "migrated/io/orphan.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvcall.h"
#include "migrated/io/outgoing.h"

/* Connect to @name if it is a relinquished copy that nobody looks after. */
static int orphan_open(struct migrated *d, const char *name, struct hvcall *hv, struct hv_info *info,
                       struct hv_owner *lease)
{
	if (!name_is_valid(name) || outgoing_has(d, name) || migrated_is_unsettled(d, name))
		return -ENOENT;
	int r = hvcall_open(hv, name, NULL);
	if (r < 0)
		return r;
	hv->timeout_ms = RECOVER_MS;
	r = hvcall_simple(hv, HV_OP_INFO, NULL, 0, info, sizeof(*info), NULL);
	if (r == 0 && info->state != HV_DOM_RELINQUISHED)
		r = -ENOENT;
	if (r == 0 && hvcall_simple(hv, HV_OP_LEASE, NULL, 0, lease, sizeof(*lease), NULL) < 0)
		memset(lease, 0, sizeof(*lease)); /* unreadable: the person has to know */
	lease->owner[sizeof(lease->owner) - 1] = 0;
	if (r < 0)
		hvcall_close(hv);
	return r;
}

void orphan_status(struct migrated *d, const char *domain, json_t *list)
{
	_cleanup_free_ char *path = dompath_runs();
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		struct hvcall hv;
		struct hv_info info;
		struct hv_owner lease;
		if ((domain && strcmp(domain, e->d_name)) || orphan_open(d, e->d_name, &hv, &info, &lease) < 0)
			continue;
		hvcall_close(&hv);
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "type", "progress",
		                                            "role", "source", "domain", e->d_name, "from", d->node.name,
		                                            "to", lease.owner[0] ? lease.owner : "?", "phase",
		                                            "in-doubt", "generation", (json_int_t)lease.generation));
	}
	closedir(dir);
}

int orphan_resolve(struct migrated *d, const char *domain, bool local, struct err *err)
{
	struct hvcall hv;
	struct hv_info info;
	struct hv_owner lease, own = { 0 };
	struct hv_destroy_req moved = { .flags = HV_DESTROY_F_MOVED };

	if (orphan_open(d, domain, &hv, &info, &lease) < 0)
		return err_set(err, ENOENT, "no migration of %s is in doubt here", domain);
	log_warn("%s: an operator decided that %s owns it", domain, local ? "this host" : "another host");
	int r;
	if (local) {
		own.generation = (lease.generation > info.generation ? lease.generation : info.generation) + 1;
		snprintf(own.owner, sizeof(own.owner), "%s", d->node.name);
		r = hvcall_simple(&hv, HV_OP_RECLAIM, &own, sizeof(own), NULL, 0, err);
		if (r == 0)
			r = hvcall_simple(&hv, HV_OP_RESUME, NULL, 0, NULL, 0, err);
	} else {
		r = hvcall_simple(&hv, HV_OP_DESTROY, &moved, sizeof(moved), NULL, 0, err);
	}
	hvcall_close(&hv);
	return r;
}
