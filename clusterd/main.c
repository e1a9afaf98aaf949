/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd: the cluster daemon of a host. Wiring only; see clusterd(8). */
#include "config.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "clusterd/io/balancer.h"
#include "clusterd/io/cluctl.h"
#include "clusterd/io/leave.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"
#include "clusterd/io/probe.h"
#include "common/caps.h"
#include "common/log.h"
#include "common/util.h"

struct app {
	struct loop *loop;
	struct hostconf conf;
	struct nodeio *n;
	struct local *local;
	struct balancer *balancer;
	struct leave *leave;
	struct cluctl *ctl;
};

static int usage(FILE *to, int rc)
{
	fputs("usage: clusterd [--check] [--log-level error|warn|info|debug] [--version] [--help]\n"
	      "The cluster daemon: keeps the cluster's state over corosync, starts, stops and moves this host's domains, serves vmclus.\n"
	      "  --check   read the configuration, say what is wrong with it, and end\n",
	      to);
	return rc;
}

static void on_signal(void *arg, int sig)
{
	struct app *a = arg;
	int status;

	if (sig != SIGCHLD) {
		log_info(
			"ends by signal %d; domains run on until the lease is over, and longer if it is back by then (vmclus drain moves them away before)",
			sig);
		loop_quit(a->loop, 0);
		return;
	}
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (!nodeio_child(a->n, pid, status))
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

static int on_inventory(void *arg, struct clu_inventory *list, uint32_t max)
{
	return local_inventory(((struct app *)arg)->local, list, max);
}

static int on_engines(void *arg, uint32_t *ret)
{
	return local_engines(((struct app *)arg)->local, ret);
}

static const struct nodeio_ops ops = { .changed = on_changed,
	                               .answer = on_answer,
	                               .event = on_event,
	                               .progress = on_progress,
	                               .inventory = on_inventory,
	                               .engines = on_engines };

static int set_up(struct app *a, struct err *err)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGCHLD, 0 };

	signal(SIGPIPE, SIG_IGN);
	a->loop = loop_new();
	if (!a->loop || loop_add_signals(a->loop, sigs, on_signal, a) < 0)
		return err_sys(err, errno, "event loop");
	if (caps_bound(0, err) < 0) /* fence agents may need all the rest */
		return -EPERM;
	log_async();
	a->n = nodeio_new(a->loop, &a->conf, &ops, a);
	if (!a->n)
		return err_sys(err, ENOMEM, "clusterd");
	a->ctl = cluctl_new(a->loop, a->n, err);
	if (!a->ctl)
		return -EIO;
	a->local = local_new(a->loop, a->n, &a->conf, err);
	if (!a->local)
		return -EIO;
	a->balancer = balancer_new(a->loop, a->n);
	if (!a->balancer)
		return err_sys(err, ENOMEM, "clusterd");
	a->leave = leave_new(a->loop, a->n, a->local, err);
	if (!a->leave)
		return -EIO;
	cluctl_parts(a->ctl, a->local, a->balancer, a->leave);
	return 0;
}

static int serve(void)
{
	struct app a = { 0 };
	struct err err = { 0 };
	int rc = 1;

	if (hostconf_load(&a.conf, &err) < 0 || set_up(&a, &err) < 0)
		log_error("%s", err.text);
	else
		rc = loop_run(a.loop);
	cluctl_free(a.ctl);
	a.ctl = NULL;
	leave_free(a.leave);
	balancer_free(a.balancer);
	local_free(a.local);
	a.local = NULL;
	nodeio_free(a.n);
	loop_free(a.loop);
	return rc;
}

static int check(void)
{
	struct hostconf conf;
	struct clu_capacity cap;
	struct err err = { 0 };
	uint32_t engines;
	char size[32];

	if (hostconf_load(&conf, &err) < 0) {
		fprintf(stderr, "clusterd: %s\n", err.text);
		return 1;
	}
	if (hostinfo_engines(&engines, &err) < 0) {
		fprintf(stderr, "clusterd: %s\n", err.text);
		return 1;
	}
	hostinfo_capacity(&conf, engines, &cap);
	printf("%s: %s for domains, %.1f CPUs%s\n", conf.migrated_name, size_format(cap.mem_bytes, size, sizeof(size)),
	       (double)cap.cpu_milli / 1000, cap.engines & CLU_ENGINE_KVM ? ", kvm" : "");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "check", no_argument, NULL, 'c' },
		                              { "log-level", required_argument, NULL, 'l' },
		                              { "version", no_argument, NULL, 'V' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	enum log_level level = LOG_LEVEL_INFO;
	const char *env = getenv("HOSPES_LOG_LEVEL");
	bool only_check = false;

	if (env)
		(void)!log_level_parse(env, &level);
	if (argc == 2 && !strcmp(argv[1], WORKER_ARG)) /* not for people: probe.h */
		return worker_main(probe_serve);
	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'c') {
			only_check = true;
		} else if (c == 'V') {
			puts("clusterd " PACKAGE_VERSION);
			return 0;
		} else if (c == 'h') {
			return usage(stdout, 0);
		} else if (c != 'l' || log_level_parse(optarg, &level) < 0) {
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	log_init("clusterd", level);
	return only_check ? check() : serve();
}
