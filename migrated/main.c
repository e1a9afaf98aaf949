/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrated: the migration daemon of a host. Wiring only; see migrated(8). */
#include "config.h"
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "common/log.h"
#include "common/loop.h"
#include "migrated/io/congestion.h"
#include "migrated/io/daemon.h"
#include "migrated/io/incoming.h"
#include "migrated/io/preflight_ask.h"
#include "migrated/io/priv.h"

struct app {
	struct loop *loop;
	struct migrated *d;
};

static int usage(FILE *to, int rc)
{
	fputs("usage: migrated [--init] [--log-level error|warn|info|debug] [--version] [--help]\n"
	      "The migration daemon: serves vmmig on <run>/migrated.sock and other hosts on port 4919.\n"
	      "  --init   make keys in <conf>/keys if there are none, print the public key, and end\n",
	      to);
	return rc;
}

static void on_signal(void *arg, int sig)
{
	struct app *app = arg;
	int status;

	if (sig != SIGCHLD) {
		log_info("ends by signal %d; domains run on", sig);
		loop_quit(app->loop, 0);
		return;
	}
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (app->d)
			incoming_child(app->d, pid, status);
}

static int init_keys(void)
{
	struct node n;
	struct err err;

	if (node_load(&n, true, &err) < 0) {
		fprintf(stderr, "migrated: %s\n", err.text);
		return 1;
	}
	printf("%s\n", n.public_key);
	return 0;
}

static int serve(void)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGCHLD, 0 };
	struct app app = { .loop = loop_new() };
	struct err err = { 0 };
	int rc = 1, r;

	/* frames are big and short-lived: keep their memory instead of mapping and clearing it anew for each */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 128 << 20);
	signal(SIGPIPE, SIG_IGN);
	if (!app.loop || loop_add_signals(app.loop, sigs, on_signal, &app) < 0) {
		log_error("event loop: %s", strerror(errno));
		return 1;
	}
	if (priv_bound(&err) < 0)
		log_warn("%s", err.text);
	log_async();
	app.d = migrated_new(app.loop, &err);
	if (!app.d) {
		log_error("%s", err.text);
	} else if ((r = congestion_set(app.d->node.congestion)) < 0) {
		log_error("thread for congestion control: %s", strerror(-r));
	} else if (migrated_recover(app.d, &err) < 0) {
		log_error("%s", err.text);
	} else {
		log_info("%s serves on port %u, public key %s", app.d->node.name, app.d->node.port,
		         app.d->node.public_key);
		rc = loop_run(app.loop);
	}
	migrated_free(app.d);
	(void)loop_run_once(app.loop, 0);
	loop_free(app.loop);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "init", no_argument, NULL, 'i' },
		                              { "log-level", required_argument, NULL, 'l' },
		                              { "version", no_argument, NULL, 'V' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	enum log_level level = LOG_LEVEL_INFO;
	const char *env = getenv("HOSPES_LOG_LEVEL");

	if (env)
		(void)!log_level_parse(env, &level);
	if (argc == 2 && !strcmp(argv[1], WORKER_ARG)) /* not for people */
		return worker_main(preflight_serve);
	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		switch (c) {
		case 'i':
			return init_keys();
		case 'l':
			if (log_level_parse(optarg, &level) < 0)
				return usage(stderr, 2);
			break;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	log_init("migrated", level);
	return serve();
}
