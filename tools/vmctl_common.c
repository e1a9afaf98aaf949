/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several commands of vmctl need: signals, JSON. See vmctl_int.h. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <stdio.h>

volatile sig_atomic_t vmctl_stopped;

static void on_stop(int sig)
{
	(void)sig;
	vmctl_stopped = 1;
}

static void set_signals(void (*handler)(int))
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = handler }; /* no SA_RESTART: waiting calls notice */

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
}

void vmctl_catch_signals(void)
{
	set_signals(on_stop);
}

void vmctl_default_signals(void)
{
	set_signals(SIG_DFL);
}

int vmctl_print_json(const struct cli *v, json_t *root, struct err *err)
{
	int r = root && !json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) ? 0 : -ENOMEM;

	if (!r) {
		putchar('\n');
		cli_log_json(v, root);
	}
	json_decref(root);
	return r < 0 ? err_sys(err, r, "print JSON") : 0;
}
