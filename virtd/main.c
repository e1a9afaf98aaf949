/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hospes-virtd: serves libvirt's remote protocol. Wiring only; see hospes-virtd(8). */
#include "config.h"
#include <errno.h>
#include <string.h>
#include "common/caps.h"
#include "common/daemon.h"
#include "common/log.h"
#include "virtd/virtd_int.h"

struct app {
	const char *config;
	struct vd_server *server;
};

/* An hvdom that it started, which goes on without it, or that one's end; or who speaks TLS. */
static void on_child(void *arg, pid_t pid, int status)
{
	struct app *app = arg;

	vd_tls_child(app->server, pid);
	log_debug("process %d ended with status %d", (int)pid, status);
}

static int start(void *arg, struct loop *loop, struct err *err)
{
	struct vd_config cfg = { 0 };
	struct app *app = arg;
	int r = vd_config_load(app->config, &cfg, err);

	if (r < 0)
		return r;
	if (caps_bound(0, err) < 0)
		log_warn("%s", err->text);
	log_async();
	app->server = vd_server_new(loop, &cfg, err);
	vd_config_done(&cfg);
	return app->server ? 0 : -EIO;
}

static void end(void *arg)
{
	struct app *app = arg;

	vd_server_free(app->server);
}

int main(int argc, char **argv)
{
	static const struct daemon virtd = {
		.name = "hospes-virtd",
		.version = PACKAGE_STRING,
		.usage =
			"usage: hospes-virtd [--config FILE] [--log-level error|warn|info|debug] [--version] [--help]\n"
			"Serves libvirt's remote protocol: virsh -c hospes:///system\n"
			"  --config FILE   instead of <conf>/virtd.json\n",
		.option = "config",
		.option_value = true,
		.level_env = "HOSPES_LOG_LEVEL",
		.at_end = "domains run on",
		.start = start,
		.child = on_child,
		.end = end,
	};
	struct app app = { 0 };
	int rc = daemon_options(&virtd, argc, argv, &app.config);

	return rc >= 0 ? rc : daemon_run(&virtd, &app);
}
