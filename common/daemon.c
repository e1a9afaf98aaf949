/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the main() functions of the daemons share: see daemon.h. */
#include "config.h"
#include "common/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "common/log.h"
#include "common/notify.h"
#include "common/worker.h"

static int usage(const struct daemon *d, FILE *to, int rc)
{
	fputs(d->usage, to);
	return rc;
}

int daemon_options(const struct daemon *d, int argc, char **argv, const char **ret_own)
{
	const struct option opts[] = { { d->option, d->option_value ? required_argument : no_argument, NULL, 'o' },
		                       { "log-level", required_argument, NULL, 'l' },
		                       { "version", no_argument, NULL, 'V' },
		                       { "help", no_argument, NULL, 'h' },
		                       { 0 } };
	const char *env = d->level_env ? getenv(d->level_env) : NULL;
	enum log_level level = LOG_LEVEL_INFO;

	if (env)
		(void)!log_level_parse(env, &level);
	if (d->helper && argc == 2 && !strcmp(argv[1], WORKER_ARG)) /* not for people */
		return worker_main(d->helper);
	*ret_own = NULL;
	optind = 0; /* glibc: begin anew */
	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'o') {
			*ret_own = optarg ?: "";
		} else if (c == 'V') {
			puts(d->version);
			return 0;
		} else if (c == 'h') {
			return usage(d, stdout, 0);
		} else if (c != 'l' || log_level_parse(optarg, &level) < 0) {
			return usage(d, stderr, 2);
		}
	}
	if (optind != argc)
		return usage(d, stderr, 2);
	log_init(d->name, level);
	return -1;
}

struct running {
	const struct daemon *d;
	void *arg;
	struct loop *loop;
};

static void on_signal(void *arg, int sig)
{
	struct running *r = arg;
	int status;

	if (sig != SIGCHLD) {
		log_info("ends by signal %d; %s", sig, r->d->at_end);
		loop_quit(r->loop, 0);
		return;
	}
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		r->d->child(r->arg, pid, status);
}

int daemon_run(const struct daemon *d, void *arg)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGCHLD, 0 };
	struct running run = { .d = d, .arg = arg, .loop = loop_new() };
	struct err err = { 0 };
	int r, rc = 1;

	signal(SIGPIPE, SIG_IGN);
	r = run.loop ? loop_add_signals(run.loop, sigs, on_signal, &run) : -errno;
	if (r < 0) {
		log_error("event loop: %s", strerror(-r));
		loop_free(run.loop);
		return rc;
	}
	if (d->start(arg, run.loop, &err) < 0) {
		log_error("%s", err.text);
	} else {
		notify_ready();
		rc = loop_run(run.loop);
	}
	d->end(arg);
	loop_free(run.loop);
	return rc;
}
