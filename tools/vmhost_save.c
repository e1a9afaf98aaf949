/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Save and restore. A domain is suspended as long as our connection lives and nothing else was decided: whatever ends
 * us before DESTROY lets it run on, whatever ends us before TAKE lets the incoming one vanish. See vmhost.h.
 */
#include "config.h"
#include "tools/vmhost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/builds.h"
#include "common/util.h"
#include "hypervisor/api/memcheck.h"
#include "hypervisor/api/savefile.h"

#define GONE_WAIT_MS 2000
#define FDS_MAX      (HV_REGIONS_MAX + 1)

/* Memory as MAP_MEMORY hands it over. */
struct mapped {
	struct hv_map_rep rep;
	int fd[FDS_MAX]; /* regions, then the bitmap; owned */
	size_t n_fds;
};

static void cleanup_mapped(struct mapped *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		close(m->fd[i]);
}

struct at {
	const struct vmhost_while *w;
	const char *text;
};

static bool step(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	const struct at *at = arg;

	if (at->w->step)
		at->w->step(at->w->arg, at->text, done_bytes, total_bytes);
	return !(at->w->stop && *at->w->stop);
}

static void stepped(const struct vmhost_while *w)
{
	if (w->stepped)
		w->stepped(w->arg);
}

static int map_memory(struct hvcall *c, struct mapped *m, struct err *err)
{
	int r;

	m->n_fds = FDS_MAX;
	r = hvcall(c, HV_OP_MAP_MEMORY, NULL, 0, NULL, 0, &m->rep, sizeof(m->rep), NULL, m->fd, &m->n_fds, err);
	if (r < 0)
		return r;
	if (!m->rep.n_regions || m->rep.n_regions > HV_REGIONS_MAX || m->n_fds < m->rep.n_regions)
		return err_set(err, EPROTO, "hvdom describes its memory wrongly");
	for (uint32_t i = 0; i < m->rep.n_regions && !r; i++)
		r = memcheck_read(m->fd[i], m->rep.region[i].size_bytes, "the guest's memory", err);
	return r;
}

static int hello(struct hvcall *c, struct hv_hello *h, struct err *err)
{
	int r = hvcall_simple(c, HV_OP_HELLO, NULL, 0, h, sizeof(*h), err);

	h->engine[sizeof(h->engine) - 1] = 0;
	h->kernel_id[sizeof(h->kernel_id) - 1] = 0;
	return r;
}

static void fill_meta(struct savefile_meta *meta, const struct hv_hello *h, uint64_t generation, const struct mapped *m,
                      const struct hv_state_rep *st, char *xml)
{
	snprintf(meta->engine, sizeof(meta->engine), "%s", h->engine);
	snprintf(meta->kernel_id, sizeof(meta->kernel_id), "%s", h->kernel_id);
	meta->created_s = (uint64_t)time(NULL);
	meta->generation = generation;
	meta->state_bytes = st->size_bytes;
	meta->n_regions = m->rep.n_regions;
	for (uint32_t i = 0; i < m->rep.n_regions; i++) {
		meta->region[i].guest_addr = m->rep.region[i].guest_addr;
		meta->region[i].size_bytes = m->rep.region[i].size_bytes;
		memcpy(meta->region[i].name, m->rep.region[i].name, sizeof(meta->region[i].name));
	}
	meta->xml = xml;
	meta->xml_len = strlen(xml);
}

/* All that goes into the file, while the domain is suspended. */
static int write_file(struct hvcall *c, const struct vmhost_while *w, const char *path, const struct hv_hello *h,
                      char *xml, uint64_t *size, struct err *err)
{
	struct at at = { .w = w, .text = "saving" };
	const struct savefile_progress progress = { .fn = step, .arg = &at };
	__attribute__((cleanup(cleanup_mapped))) struct mapped m = { 0 };
	_cleanup_savefile_out_ struct savefile_out *out = NULL;
	_cleanup_close_ int state_fd = -1;
	struct savefile_meta meta = { 0 };
	struct hv_state_rep st = { 0 };
	struct hv_info info;
	size_t n = 1;
	int r = map_memory(c, &m, err);

	if (!r)
		r = hvcall_simple(c, HV_OP_INFO, NULL, 0, &info, sizeof(info), err);
	if (!r)
		r = hvcall(c, HV_OP_GET_STATE, NULL, 0, NULL, 0, &st, sizeof(st), NULL, &state_fd, &n, err);
	if (!r && !n)
		r = err_set(err, EPROTO, "hvdom sent no state");
	if (!r)
		r = memcheck_read(state_fd, st.size_bytes, "the guest's state", err);
	if (r < 0)
		return r;
	fill_meta(&meta, h, info.generation, &m, &st, xml);
	r = savefile_create(path, &meta, &out, err);
	for (uint32_t i = 0; !r && i < m.rep.n_regions; i++)
		r = savefile_put_region(out, i, m.fd[i], &progress, err);
	stepped(w);
	if (!r)
		r = savefile_put_state(out, state_fd, err);
	if (!r)
		r = savefile_commit(out, size, err);
	return r;
}

/* The file is whole: end the domain. If that is not certain, the file goes and the domain runs on. */
static int end_saved(struct hvcall *c, const struct vmhost_while *w, const char *name, const char *path,
                     struct err *err)
{
	struct hv_destroy_req req = { .flags = HV_DESTROY_F_SAVED };
	int r;

	if (w->stop && *w->stop)
		r = err_set(err, EINTR, "interrupted");
	else
		r = hvcall_simple(c, HV_OP_DESTROY, &req, sizeof(req), NULL, 0, err);
	if (r == -ECONNRESET && !vmhost_is_running(name))
		r = 0; /* it ended faster than its answer came */
	if (!r) {
		(void)vmhost_wait_gone(c, name, GONE_WAIT_MS, w->stop);
		return 0;
	}
	/* first the file, then (as our connection closes) the domain: never both */
	if (unlink(path) < 0)
		return err_prefix(err, "DO NOT restore %s, domain '%s' runs on", path, name);
	return r;
}

int vmhost_save(const char *name, const char *path, const struct vmhost_while *w, uint64_t *ret_bytes, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	_cleanup_free_ char *xml = NULL;
	struct hv_hello h;
	int r = vmhost_connect(&c, name, err);

	c.stop = w->stop;
	if (!r)
		r = hello(&c, &h, err);
	if (!r)
		r = vmhost_running_xml(&c, &xml, err);
	if (!r)
		r = hvcall_simple(&c, HV_OP_SUSPEND, NULL, 0, NULL, 0, err);
	if (r < 0)
		return err_prefix(err, "save %s", name);
	r = write_file(&c, w, path, &h, xml, ret_bytes, err);
	if (!r)
		r = end_saved(&c, w, name, path, err);
	return r < 0 ? err_prefix(err, "save %s: the domain runs on", name) : 0;
}

static int check_regions(const struct savefile_meta *meta, const struct mapped *m, struct err *err)
{
	if (meta->n_regions != m->rep.n_regions)
		return err_set(err, EINVAL, "it has %u memory regions, the domain %u", meta->n_regions,
		               m->rep.n_regions);
	for (uint32_t i = 0; i < meta->n_regions; i++)
		if (meta->region[i].size_bytes != m->rep.region[i].size_bytes ||
		    meta->region[i].guest_addr != m->rep.region[i].guest_addr)
			return err_set(err, EINVAL, "memory region %u differs from the domain's", i);
	return 0;
}

/* The started hvdom has to be what was saved. */
static int check_same(const struct savefile_meta *meta, const struct hv_hello *h, const struct mapped *m,
                      struct err *err)
{
	if (strcmp(meta->engine, h->engine))
		return err_set(err, EINVAL, "it was saved from engine '%s', this one is '%s'", meta->engine, h->engine);
	bool newer = h->caps & HV_CAP_NEWER;
	if (build_takes(meta->kernel_id, h->kernel_id, newer, false))
		return check_regions(meta, m, err);
	if (strchr(h->kernel_id, ' '))
		return err_set(err, EXDEV, "it was saved on %s %s, and this host has %s: install that%s one", h->engine,
		               meta->kernel_id, h->kernel_id, newer ? " or a later" : "");
	return err_set(err, EINVAL,
	               "the guest kernel is another one than when it was saved; install that one again (id %s)",
	               meta->kernel_id);
}

/* The lease tells whether the domain ran since it was saved: then its disks are not those that its memory knows. */
static int check_lease(struct hvcall *c, const struct savefile_meta *meta, struct err *err)
{
	struct hv_owner lease;
	int r = hvcall_simple(c, HV_OP_LEASE, NULL, 0, &lease, sizeof(lease), err);

	if (r < 0 || !meta->generation || lease.generation <= meta->generation)
		return r;
	return err_set(
		err, ESTALE,
		"the domain ran since it was saved, its disks may have changed: restoring would damage them; --force if they "
		"are those of that moment");
}

/* Memory and state into the incoming domain, then it is ours and runs. */
static int pour(struct hvcall *c, const struct vmhost_while *w, struct savefile_in *in, bool force, struct err *err)
{
	struct at at = { .w = w, .text = "restoring" };
	const struct savefile_progress progress = { .fn = step, .arg = &at };
	__attribute__((cleanup(cleanup_mapped))) struct mapped m = { 0 };
	const struct savefile_meta *meta = savefile_meta(in);
	struct hv_state_req st = { .size_bytes = meta->state_bytes };
	struct hv_owner owner = { 0 }; /* generation 0: the next one; owner "": this host */
	_cleanup_close_ int state_fd = memfd_create("state", MFD_CLOEXEC);
	struct hv_hello h;
	int r;

	if (state_fd < 0)
		return err_sys(err, errno, "state");
	if ((r = hello(c, &h, err)) < 0 || (r = map_memory(c, &m, err)) < 0 || (r = check_same(meta, &h, &m, err)) < 0)
		return r;
	if (!force && (r = check_lease(c, meta, err)) < 0)
		return r;
	r = savefile_load(in, m.fd, state_fd, &progress, err);
	stepped(w);
	if (!r)
		r = hvcall(c, HV_OP_SET_STATE, &st, sizeof(st), &state_fd, 1, NULL, 0, NULL, NULL, NULL, err);
	if (!r)
		r = hvcall_simple(c, HV_OP_TAKE, &owner, sizeof(owner), NULL, 0, err);
	if (r < 0)
		return r;
	c->stop = NULL; /* it is owned: from here only forward */
	return hvcall_simple(c, HV_OP_RESUME, NULL, 0, NULL, 0, err);
}

/* hvdom reads its XML from a file: the saved one, for a moment, below the run directory. */
static int write_config(const struct savefile_meta *meta, const char *name, char **ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/restore-%s-%d.xml", path_run(), name, (int)getpid());
	int r = mkdir_p(path_run(), 0755);

	if (!r)
		r = file_write_atomic(path, meta->xml, meta->xml_len, 0600);
	if (r < 0)
		return err_sys(err, r, "write %s", path);
	*ret = steal_ptr(&path);
	return 0;
}

static int verify(struct savefile_in *in, const struct vmhost_while *w, struct err *err)
{
	struct at at = { .w = w, .text = "checking" };
	const struct savefile_progress progress = { .fn = step, .arg = &at };
	int r = savefile_verify(in, &progress, err);

	stepped(w);
	return r;
}

int vmhost_restore(const char *path, struct hvlaunch *l, const struct vmhost_while *w, char ret_name[HV_NAME_MAX],
                   struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_savefile_in_ struct savefile_in *in = NULL;
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	_cleanup_free_ char *config = NULL;
	bool force = l->force;
	int r;

	l->force = false; /* the lease is checked here */
	if ((r = savefile_open(path, &in, err)) < 0 || (r = verify(in, w, err)) < 0)
		return err_prefix(err, "restore");
	r = dom_config_parse(savefile_meta(in)->xml, savefile_meta(in)->xml_len, "XML in the file", &cfg, err);
	if (r < 0)
		return err_prefix(err, "restore %s", path);
	if (managed_listed(cfg->name, NULL))
		return err_set(
			err, EPERM,
			"restore %s: '%s' is a domain of the cluster, which decides where it runs: vmclus undefine %s first",
			path, cfg->name, cfg->name);
	if (vmhost_is_running(cfg->name))
		return err_set(err, EEXIST, "restore %s: domain '%s' is already running; it would be two of it", path,
		               cfg->name);
	r = write_config(savefile_meta(in), cfg->name, &config, err);
	if (r < 0)
		return r;
	l->name = cfg->name;
	l->config = config;
	l->incoming = true;
	r = vmhost_launch(l, w, err);
	unlink(config);
	if (!r) {
		r = vmhost_connect(&c, cfg->name, err);
		c.stop = w->stop;
		if (!r)
			r = pour(&c, w, in, force, err);
		if (r < 0) {
			hvcall_close(&c);
			hvlaunch_kill(l);
			(void)err_prefix(err, "restore %s", path);
		}
	}
	l->name = l->config = NULL;
	if (!r)
		snprintf(ret_name, HV_NAME_MAX, "%s", cfg->name);
	return r;
}
