/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig: moves domains between hosts. This file: commands, single orders to migrated; the rest is vmmig_*.c. */
#include "config.h"
#include "tools/vmmig_int.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct jsonconn_peer vmmig_peer = {
	.daemon = "migrated",
	.start = "start it",
	.expected = "JSON",
	.lost = "`vmmig status` tells how things stand once it is back",
	.line_bytes_max = 4u << 20,
};

static const struct vmmig_cmd commands[] = {
	{ "push", "DOMAIN HOST", "move a running domain to another host", vmmig_push },
	{ "plan", "DOMAIN HOST", "say what a push would do, and what would stop it", vmmig_plan },
	{ "status", "[DOMAIN]", "show migrations from and to this host", vmmig_status },
	{ "cancel", "DOMAIN", "call a migration off; the domain runs on where it is", vmmig_cancel },
	{ "resolve", "DOMAIN", "last resort: say who owns a domain that is in doubt", vmmig_resolve },
	{ "peers", "list|add|remove|self", "the hosts that this one trusts", vmmig_peers },
};

volatile sig_atomic_t vmmig_interrupts;

static void on_signal(int sig)
{
	(void)sig;
	vmmig_interrupts++;
}

void vmmig_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART: recv() must return */

	sigaction(SIGINT, &sa, NULL); /* SIGTERM just ends vmmig; the migration goes on */
}

int vmmig_fail(const struct err *err)
{
	fprintf(stderr, "vmmig: %s\n", err->text);
	return EXIT_FAILED;
}

json_t *vmmig_ask(json_t *order)
{
	struct jsonconn c;
	struct err err = { 0 };
	json_t *o = NULL;
	int r = jsonconn_open(&c, &vmmig_peer, &err);

	if (r < 0) {
		json_decref(order);
	} else {
		r = jsonconn_send(&c, order, &err);
		/* a plan that waits for its peer reports progress first */
		do {
			json_decref(o);
			o = NULL;
			if (r == 0)
				r = jsonconn_recv(&c, true, &o, &err);
		} while (r == 0 && !strcmp(json_string_value(json_object_get(o, "type")) ?: "", "progress"));
		jsonconn_close(&c);
	}
	const char *why = json_string_value(json_object_get(o, "error"));
	if (r == 0 && !strcmp(json_string_value(json_object_get(o, "type")) ?: "", "error"))
		r = err_set(&err, EIO, "%s", why ? why : "failed");
	if (r == 0)
		return o;
	json_decref(o);
	(void)vmmig_fail(&err);
	return NULL;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: vmmig COMMAND ...\n\nMoves running domains between hosts.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-8s %-22s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fprintf(to,
	        "\nvmmig COMMAND --help tells more. See vmmig(8).\nExit status: 0 done, 1 failed, 2 wrong usage, 3 cancelled.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts(PACKAGE_STRING);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "vmmig: unknown command \"%s\"\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
