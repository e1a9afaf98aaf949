/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain XML as the cluster sees it: see domspec.h. */
#include "config.h"
#include "clusterd/io/domspec.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clusterd/core/clu.h"
#include "common/util.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/api/leaserec.h"
#include "hypervisor/api/pathconf.h"

#define CLUSTER_NS "urn:hospes:cluster:1"

/* <hospes:cluster> ------------------------------------------------------------------------------------------------------- */

static const xmlNode *cluster_node(const struct dom_config *cfg)
{
	const xmlNode *root = cfg->doc ? xmlDocGetRootElement((xmlDoc *)cfg->doc) : NULL;

	for (const xmlNode *m = root ? root->children : NULL; m; m = m->next) {
		if (m->type != XML_ELEMENT_NODE || m->ns || strcmp((const char *)m->name, "metadata") != 0)
			continue;
		for (const xmlNode *n = m->children; n; n = n->next)
			if (n->type == XML_ELEMENT_NODE && n->ns && !strcmp((const char *)n->ns->href, CLUSTER_NS) &&
			    !strcmp((const char *)n->name, "cluster"))
				return n;
	}
	return NULL;
}

static int number_attr(const xmlNode *n, const char *name, long long min, long long max, long long *ret,
                       struct err *err)
{
	char *text = (char *)xmlGetNoNsProp(n, (const xmlChar *)name), *end = NULL;
	int r = 0;

	if (!text)
		return 0;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < min || v > max)
		r = err_set(err, EINVAL, "hospes:cluster: %s=\"%.40s\" is no number from %lld to %lld", name, text, min,
		            max);
	else
		*ret = v;
	xmlFree(text);
	return r;
}

static int word_ok(const char *word, const char *what, struct err *err)
{
	if (!name_is_valid(word) || strlen(word) >= CLU_WORD_MAX)
		return err_set(err, EINVAL, "%s \"%.60s\": a word of at most %u letters and digits", what, word,
		               CLU_WORD_MAX - 1);
	return 0;
}

static int text_attrs(const xmlNode *n, struct clu_spec *s, struct err *err)
{
	char *ha = (char *)xmlGetNoNsProp(n, (const xmlChar *)"ha"),
	     *type = (char *)xmlGetNoNsProp(n, (const xmlChar *)"type");
	int r = 0;

	if (ha && strcmp(ha, "yes") != 0 && strcmp(ha, "no") != 0)
		r = err_set(err, EINVAL, "hospes:cluster: ha=\"%.20s\" is neither yes nor no", ha);
	else if (ha)
		s->ha = !strcmp(ha, "yes");
	if (r == 0 && type)
		r = word_ok(type, "hospes:cluster: type", err);
	if (r == 0 && type)
		snprintf(s->type, sizeof(s->type), "%s", type);
	xmlFree(ha);
	xmlFree(type);
	return r;
}

static int metadata(const struct dom_config *cfg, struct clu_spec *s, struct err *err)
{
	const xmlNode *n = cluster_node(cfg);
	long long priority = 0, order = 0, restart_max = 0;
	int r;

	if (!n)
		return 0;
	r = number_attr(n, "priority", -1000000, 1000000, &priority, err);
	if (r == 0)
		r = number_attr(n, "order", 0, 1000000, &order, err);
	if (r == 0)
		r = number_attr(n, "restart-max", 0, 1000000, &restart_max, err);
	s->priority = (int32_t)priority;
	s->order = (uint32_t)order;
	s->restart_max = (uint32_t)restart_max;
	return r < 0 ? r : text_attrs(n, s, err);
}

/* The label in "type/model/label", when it is a single word: a whole SELinux context is none of our types. */
static void label_type(const struct dom_config *cfg, struct clu_spec *s)
{
	const char *label = cfg->seclabel;

	for (unsigned i = 0; i < 2 && label; i++) {
		label = strchr(label, '/');
		label = label ? label + 1 : NULL;
	}
	if (label && name_is_valid(label) && strlen(label) < CLU_WORD_MAX)
		snprintf(s->type, sizeof(s->type), "%s", label);
}

static int bridges(const struct dom_config *cfg, struct clu_spec *s, struct err *err)
{
	unsigned used = 0;

	for (size_t i = 0; i < cfg->n_nics; i++) {
		const char *b = cfg->nic[i].bridge;
		bool known = cfg->nic[i].type != DOM_NIC_BRIDGE;

		for (unsigned k = 0; k < used; k++)
			known |= !strcmp(s->bridge[k], b);
		if (known)
			continue;
		if (used == CLU_BRIDGES_MAX)
			return err_set(err, EINVAL, "more than %u bridges", CLU_BRIDGES_MAX);
		snprintf(s->bridge[used++], CLU_WORD_MAX, "%s", b);
	}
	return 0;
}

int domspec_of(const struct dom_config *cfg, struct clu_spec *ret, struct err *err)
{
	struct clu_spec s = { .mem_bytes = cfg->memory_bytes,
		              .vcpus = cfg->vcpus,
		              .engine = clu_engine_named(dom_engine(cfg)),
		              .ha = true,
		              /* one that is translated has its processor everywhere, and needs no mark */
		              .cpu_named = cfg->type == DOM_TYPE_KVM && !dom_config_cpu_is_hosts(cfg) };
	int r;

	label_type(cfg, &s);
	r = metadata(cfg, &s, err);
	if (r == 0)
		r = bridges(cfg, &s, err);
	if (r == 0)
		*ret = s;
	return r;
}

/* Files ---------------------------------------------------------------------------------------------------------------- */

/* Root would not open what lies elsewhere, whatever hvdom is told. */
static int in_place(const struct dom_config *cfg, struct err *err)
{
	struct path_rules rules = { 0 };
	int r = geteuid() == 0 ? path_rules_load(&rules, err) : 0;

	if (r == 0 && geteuid() == 0)
		r = path_check_config(&rules, cfg, err);
	path_rules_done(&rules);
	return r;
}

static int reach_file(const char *what, const char *path, int mode, struct err *err)
{
	return access(path, mode) < 0 ? err_sys(err, errno, "%s %s", what, path) : 0;
}

/* The images that a qcow2 image stands on: root opens those below the allowed directories only. */
static int reach_below(const struct dom_disk *k, struct err *err)
{
	_cleanup_free_ char *what = xasprintf("disk %s", k->target);
	struct path_rules rules = { 0 };
	struct imgchain chain = { 0 };
	int r = geteuid() == 0 ? path_rules_load(&rules, err) : 0;

	if (r == 0)
		r = imgchain_open(geteuid() == 0 ? &rules : NULL, k, what, &chain, err);
	imgchain_done(&chain);
	path_rules_done(&rules);
	return r;
}

static int reach_disk(const struct dom_disk *k, struct err *err)
{
	_cleanup_free_ char *what = xasprintf("disk %s:", k->target);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = reach_file(what, k->source, k->readonly ? R_OK : R_OK | W_OK, err);

	if (r < 0)
		return r;
	if (stat(k->source, &st) < 0)
		return err_sys(err, errno, "%s %s", what, k->source);
	if (k->type == DOM_DISK_BLOCK ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s %s is not a %s", what, k->source,
		               k->type == DOM_DISK_BLOCK ? "block device" : "file");
	/* whether it opens, too: a volume that is not active here, a file server that knows better */
	fd = open(k->source, (k->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno, "open %s %s", what, k->source);
	return k->format == DOM_FORMAT_QCOW2 ? reach_below(k, err) : 0;
}

int domspec_reach(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg, struct err *err)
{
	int r;

	path_touch_config(cfg, at, arg);
	r = in_place(cfg, err);
	if (r == 0 && cfg->kernel)
		r = reach_file("guest kernel", cfg->kernel, R_OK, err);
	if (r == 0 && cfg->initrd)
		r = reach_file("initrd", cfg->initrd, R_OK, err);
	if (r == 0 && cfg->fw.loader)
		r = reach_file("loader", cfg->fw.loader, R_OK, err);
	for (size_t i = 0; r == 0 && i < cfg->n_disks; i++)
		r = reach_disk(&cfg->disk[i], err);
	for (size_t i = 0; r == 0 && i < cfg->n_nics; i++) {
		_cleanup_free_ char *path = xasprintf("/sys/class/net/%s/bridge", cfg->nic[i].bridge);

		if (cfg->nic[i].type == DOM_NIC_BRIDGE && access(path, F_OK) < 0)
			r = err_set(err, ENODEV, "no bridge %s here (ip link add %s type bridge)", cfg->nic[i].bridge,
			            cfg->nic[i].bridge);
	}
	return r;
}

size_t domspec_warnings(const struct dom_config *cfg, char *ret[8])
{
	size_t n = 0;
	bool lease = false;

	for (size_t i = 0; i < cfg->n_disks && n < 6; i++) {
		_cleanup_free_ char *beside = leaserec_path_beside(&cfg->disk[i]);

		lease |= beside != NULL;
		if (cfg->disk[i].type == DOM_DISK_BLOCK && !cfg->disk[i].readonly && !cfg->disk[i].shareable)
			ret[n++] = xasprintf(
				"disk %s is a block device: no lease stands beside it, only the cluster's own "
				"rules keep a second copy from writing to it",
				cfg->disk[i].source);
	}
	if (cfg->n_disks && !lease)
		ret[n++] = xasprintf(
			"no disk of %s is a writable image file: there is no lease that other hosts could read",
			cfg->name);
	if (cfg->on_crash == DOM_ACTION_RESTART)
		ret[n++] = xasprintf(
			"on_crash is restart: hvdom restarts the guest by itself, the cluster's restart limit does not see it");
	return n;
}

/* Leases --------------------------------------------------------------------------------------------------------------- */

static char *lease_path(const struct dom_config *cfg, bool *ret_shared)
{
	char *path = NULL;

	for (size_t i = 0; i < cfg->n_disks && !path; i++)
		path = leaserec_path_beside(&cfg->disk[i]);
	*ret_shared = path;
	return path ? path : leaserec_path_local(cfg->uuid);
}

int domspec_lease(const struct dom_config *cfg, struct leasepeek *ret, struct err *err)
{
	struct leasepeek l = { 0 };
	_cleanup_free_ char *path = lease_path(cfg, &l.shared);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct leaserec rec[2];

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, errno, "open %s", path);
	int n = fd < 0 ? 0 : leaserec_read(fd, cfg->uuid, rec);
	if (n == -EINVAL)
		return err_set(err, EINVAL, "the lease %s is damaged", path);
	if (n == -EXDEV)
		return err_set(err, EINVAL, "%s belongs to domain %s: the same image is in two domains", path,
		               rec[0].uuid);
	if (n < 0)
		return err_sys(err, n, "read %s", path);
	if (n) {
		l.there = true;
		l.running = rec[0].rec.state == LEASE_RUNNING;
		l.generation = rec[0].rec.generation;
		l.taken = n == 2 && rec[1].rec.generation == rec[0].rec.generation;
		memcpy(l.owner, rec[0].rec.owner, sizeof(l.owner));
	}
	*ret = l;
	return 0;
}
