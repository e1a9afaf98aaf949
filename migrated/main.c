/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrated: the migration daemon of a host. Wiring only; see migrated(8). */
#include "config.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include "common/daemon.h"
#include "common/log.h"
#include "common/loop.h"
#include "migrated/io/congestion.h"
#include "migrated/io/daemon.h"
#include "migrated/io/hugehelp.h"
#include "migrated/io/incoming.h"
#include "migrated/io/preflight_ask.h"
#include "migrated/io/priv.h"

struct app {
	struct loop *loop;
	struct migrated *d;
};

static void on_child(void *arg, pid_t pid, int status)
{
	struct app *app = arg;

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

static int start(void *arg, struct loop *loop, struct err *err)
{
	struct app *app = arg;
	int r;

	/* frames are big and short-lived: keep their memory instead of mapping and clearing it anew for each */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 128 << 20);
	app->loop = loop;
	if (priv_bound(err) < 0)
		log_warn("%s", err->text);
	log_async();
	app->d = migrated_new(loop, err);
	if (!app->d)
		return -EIO;
	r = congestion_set(app->d->node.congestion);
	if (r < 0)
		return err_sys(err, r, "thread for congestion control");
	r = migrated_recover(app->d, err);
	if (r < 0)
		return r;
	log_info("%s serves on port %u, public key %s", app->d->node.name, app->d->node.port, app->d->node.public_key);
	return 0;
}

static void end(void *arg)
{
	struct app *app = arg;

	migrated_free(app->d);
	app->d = NULL; /* a child that ends now is nobody's */
	(void)loop_run_once(app->loop, 0);
}

int main(int argc, char **argv)
{
	static const struct daemon migrated = {
		.name = "migrated",
		.version = PACKAGE_STRING,
		.usage = "usage: migrated [--init] [--log-level error|warn|info|debug] [--version] [--help]\n"
			 "The migration daemon: serves vmmig on <run>/migrated.sock and other hosts on port 4919.\n"
			 "  --init   make keys in <conf>/keys if there are none, print the public key, and end\n",
		.option = "init",
		.level_env = "HOSPES_LOG_LEVEL",
		.helper = preflight_serve,
		.at_end = "domains run on",
		.start = start,
		.child = on_child,
		.end = end,
	};
	struct app app = { 0 };
	const char *init;

	hugehelp_main(argc, argv);
	int rc = daemon_options(&migrated, argc, argv, &init);

	if (rc >= 0)
		return rc;
	return init ? init_keys() : daemon_run(&migrated, &app);
}
