/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd: the cluster daemon of a host. Wiring only; see clusterd(8). */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include "clusterd/io/balancer.h"
#include "clusterd/io/cluctl.h"
#include "clusterd/io/leave.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"
#include "clusterd/io/probe.h"
#include "clusterd/guard/managed.h"
#include "common/caps.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/util.h"

struct app {
	struct hostconf conf;
	struct nodeio *n;
	struct local *local;
	struct balancer *balancer;
	struct leave *leave;
	struct cluctl *ctl;
};

static void on_child(void *arg, pid_t pid, int status)
{
	struct app *a = arg;

	if (!nodeio_child(a->n, pid, status) && a->local)
		(void)local_child(a->local, pid, status);
}

static void on_changed(void *arg)
{
	struct app *a = arg;

	if (a->local)
		local_changed(a->local);
	if (a->ctl)
		cluctl_changed(a->ctl);
}

static void on_answer(void *arg, uint64_t request, const struct clu_answer *answer)
{
	cluctl_answer(((struct app *)arg)->ctl, request, answer);
}

static void on_event(void *arg, const struct store_event *ev)
{
	(void)arg;
	log_info("%s", ev->text);
}

static void on_progress(void *arg, const char *uuid, const char *json, size_t len)
{
	cluctl_progress(((struct app *)arg)->ctl, uuid, json, len);
}

static void on_call_off(void *arg, const char *uuid, uint64_t op_id)
{
	struct app *a = arg;

	if (a->local)
		local_call_off(a->local, uuid, op_id);
}

static int on_inventory(void *arg, struct clu_inventory *list, uint32_t max)
{
	struct app *a = arg;

	return a->local ? local_inventory(a->local, list, max) : 0;
}

static int on_engines(void *arg, struct hostengines *ret)
{
	struct app *a = arg;

	*ret = (struct hostengines){ 0 };
	return a->local ? local_engines(a->local, ret) : 0;
}

static const struct nodeio_ops ops = { .changed = on_changed,
	                               .answer = on_answer,
	                               .event = on_event,
	                               .progress = on_progress,
	                               .call_off = on_call_off,
	                               .inventory = on_inventory,
	                               .engines = on_engines };

/* A witness has nothing that would look after domains. */
static int check_witness(struct err *err)
{
	int here = managed_count_alive();

	if (here < 0)
		return err_sys(err, here, "domains of the cluster that run on this host");
	if (here > 0)
		return err_set(
			err, EBUSY,
			"%s/witness makes this host a witness, and %d domains of the cluster run here: remove that file, "
			"or end them first (vmclus shutdown-host)",
			path_conf(), here);
	log_info("this host is a witness: it votes, and carries no domains");
	return 0;
}

static int start(void *arg, struct loop *loop, struct err *err)
{
	struct app *a = arg;
	int r = hostconf_load(&a->conf, err);

	if (r < 0)
		return r;
	if (a->conf.witness)
		r = check_witness(err);
	if (r < 0)
		return r;
	r = caps_bound(0, err); /* fence agents may need all the rest */
	if (r < 0)
		return r;
	log_async();
	a->n = nodeio_new(loop, &a->conf, &ops, a);
	if (!a->n)
		return err_sys(err, ENOMEM, "clusterd");
	a->ctl = cluctl_new(loop, a->n, err);
	if (!a->ctl)
		return -EIO;
	a->local = a->conf.witness ? NULL : local_new(loop, a->n, &a->conf, err);
	if (!a->local && !a->conf.witness)
		return -EIO;
	a->balancer = balancer_new(loop, a->n);
	if (!a->balancer)
		return err_sys(err, ENOMEM, "clusterd");
	a->leave = leave_new(loop, a->n, a->local, err);
	if (!a->leave)
		return -EIO;
	cluctl_parts(a->ctl, a->local, a->balancer, a->leave);
	return 0;
}

static void end(void *arg)
{
	struct app *a = arg;

	cluctl_free(a->ctl);
	a->ctl = NULL;
	leave_free(a->leave);
	balancer_free(a->balancer);
	local_free(a->local);
	a->local = NULL;
	nodeio_free(a->n);
}

static int check(void)
{
	struct hostconf conf;
	struct clu_capacity cap;
	struct err err = { 0 };
	struct hostengines engines;
	char size[32], names[CLU_TEXT_MAX];

	int r = hostconf_load(&conf, &err);

	if (r == 0 && conf.witness) {
		printf("%s: a witness, without domains\n", conf.migrated_name);
		return 0;
	}
	if (r < 0 || hostinfo_engines(&engines, &err) < 0) {
		fprintf(stderr, "clusterd: %s\n", err.text);
		return 1;
	}
	hostinfo_capacity(&conf, &engines, &cap);
	printf("%s: %s for domains, %.1f CPUs, engines: %s\n", conf.migrated_name,
	       size_format(cap.mem_bytes, size, sizeof(size)), (double)cap.cpu_milli / 1000,
	       clu_engine_names(cap.engines, names));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct daemon clusterd = {
		.name = "clusterd",
		.version = "clusterd " PACKAGE_VERSION,
		.usage =
			"usage: clusterd [--check] [--log-level error|warn|info|debug] [--version] [--help]\n"
			"The cluster daemon: keeps the cluster's state over corosync, starts, stops and moves this host's domains, serves vmclus.\n"
			"  --check   read the configuration, say what is wrong with it, and end\n",
		.option = "check",
		.level_env = "HOSPES_LOG_LEVEL",
		.helper = probe_serve,
		.at_end =
			"domains run on until the lease is over, and longer if it is back by then (vmclus drain moves them away before)",
		.start = start,
		.child = on_child,
		.end = end,
	};
	static struct app app;
	const char *only_check;
	int rc = daemon_options(&clusterd, argc, argv, &only_check);

	if (rc >= 0)
		return rc;
	return only_check ? check() : daemon_run(&clusterd, &app);
}
