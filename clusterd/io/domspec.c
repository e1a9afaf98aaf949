/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain XML as the cluster sees it: see domspec.h. */
#include <config.h>
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
#include <xxhash.h>
#include "common/util.h"

#define CLUSTER_NS "urn:hospes:cluster:1"
#define LEASE_SLOT 512u
#define MAGIC      "hospes-lease 1 "

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
		(void)snprintf(s->type, sizeof(s->type), "%s", type);
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
		(void)snprintf(s->type, sizeof(s->type), "%s", label);
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
		(void)snprintf(s->bridge[used++], CLU_WORD_MAX, "%s", b);
	}
	return 0;
}

int domspec_of(const struct dom_config *cfg, struct clu_spec *ret, struct err *err)
{
	struct clu_spec s = { .mem_bytes = cfg->memory_bytes,
		              .vcpus = cfg->vcpus,
		              .engine = cfg->type == DOM_TYPE_KVM ? CLU_ENGINE_KVM : CLU_ENGINE_PV,
		              .ha = true };
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

int domspec_reach(const struct dom_config *cfg, struct err *err)
{
	if (!cfg->kernel || access(cfg->kernel, R_OK) < 0)
		return err_set(err, ENOENT, "no guest kernel %s here", cfg->kernel ? cfg->kernel : "(none named)");
	if (cfg->initrd && access(cfg->initrd, R_OK) < 0)
		return err_set(err, ENOENT, "no initrd %s here", cfg->initrd);
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		struct stat st;

		if (stat(k->source, &st) < 0)
			return err_set(err, errno, "disk %s: %s", k->source, strerror(errno));
		if (k->type == DOM_DISK_BLOCK ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode))
			return err_set(err, EINVAL, "disk %s is not a %s", k->source,
			               k->type == DOM_DISK_BLOCK ? "block device" : "file");
		if (access(k->source, k->readonly ? R_OK : R_OK | W_OK) < 0)
			return err_set(err, errno, "disk %s: %s", k->source, strerror(errno));
	}
	return 0;
}

static bool guards_by_lease(const struct dom_disk *k)
{
	return k->type == DOM_DISK_FILE && !k->readonly && !k->shareable;
}

size_t domspec_warnings(const struct dom_config *cfg, char *ret[8])
{
	size_t n = 0;
	bool lease = false;

	for (size_t i = 0; i < cfg->n_disks && n < 6; i++) {
		lease |= guards_by_lease(&cfg->disk[i]);
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

struct slot {
	uint64_t seq, generation;
	char uuid[40], state[16], owner[64];
};

/* One slot of 512 octets; false: empty or damaged. */
static bool parse_slot(const char *octets, struct slot *ret)
{
	char line[LEASE_SLOT + 1], sum_text[20];
	size_t len;
	char *last;

	memcpy(line, octets, LEASE_SLOT);
	line[LEASE_SLOT] = 0;
	len = strcspn(line, "\n");
	line[len] = 0;
	last = strrchr(line, ' ');
	if (strncmp(line, MAGIC, strlen(MAGIC)) != 0 || !last)
		return false;
	(void)snprintf(sum_text, sizeof(sum_text), "%016" PRIx64,
	               (uint64_t)XXH3_64bits(line, (size_t)(last + 1 - line)));
	if (strcmp(last + 1, sum_text) != 0)
		return false;
	return sscanf(line + strlen(MAGIC), "%" SCNu64 " %39s %" SCNu64 " %15s %63s", &ret->seq, ret->uuid,
	              &ret->generation, ret->state, ret->owner) == 5;
}

static char *lease_path(const struct dom_config *cfg, bool *ret_shared)
{
	*ret_shared = true;
	for (size_t i = 0; i < cfg->n_disks; i++)
		if (guards_by_lease(&cfg->disk[i]))
			return xasprintf("%s.lease", cfg->disk[i].source);
	*ret_shared = false;
	return xasprintf("%s/leases/%s", path_state(), cfg->uuid);
}

int domspec_lease(const struct dom_config *cfg, struct leasepeek *ret, struct err *err)
{
	struct leasepeek l = { 0 };
	_cleanup_free_ char *path = lease_path(cfg, &l.shared);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char octets[2 * LEASE_SLOT] = { 0 };
	struct slot s[2];
	bool ok[2];

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, errno, "open %s", path);
	if (fd >= 0) {
		ssize_t n = read(fd, octets, sizeof(octets));

		if (n < 0)
			return err_sys(err, errno, "read %s", path);
	}
	for (unsigned i = 0; i < 2; i++)
		ok[i] = parse_slot(octets + i * LEASE_SLOT, &s[i]);
	if (!ok[0] && !ok[1]) {
		for (size_t i = 0; i < sizeof(octets); i++)
			if (octets[i])
				return err_set(err, EINVAL, "the lease %s is damaged", path);
		*ret = l;
		return 0;
	}
	unsigned best = ok[1] && (!ok[0] || s[1].seq > s[0].seq);
	if (strcasecmp(s[best].uuid, cfg->uuid) != 0)
		return err_set(err, EINVAL, "%s belongs to domain %s: the same image is in two domains", path,
		               s[best].uuid);
	l.there = true;
	l.generation = s[best].generation;
	l.taken = ok[!best] && s[!best].generation == s[best].generation;
	(void)snprintf(l.state, sizeof(l.state), "%s", s[best].state);
	if (strcmp(s[best].owner, "-") != 0)
		(void)snprintf(l.owner, sizeof(l.owner), "%s", s[best].owner);
	*ret = l;
	return 0;
}
