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

/* Of push and plan, in the order of keys[] in vmmig_push.c. */
/* clang-format off */
#define PUSH_OPTIONS { \
	{ "downtime", "MS", "longest pause of the guest to aim for (default 50)" }, \
	{ "bandwidth", "MIB", "limit, MiB/s (default: none)" }, \
	{ "timeout", "S", "call it off when not done by then (default: none)" }, \
	{ "streams", "N", "connections for guest memory, 1-8 (default: by CPUs)" }, \
	{ "compress", "HOW", "lz4, none (default: lz4 when the link is the bottleneck)" }, \
	{ "converge", "HOW", "when the guest writes faster than the link carries: auto (slow it down, then allow more downtime),\n" \
	                     "                       throttle (slow it down, then give up), fail (give up at once)" }, \
	{ "log-dirty", "HOW", "auto, track, hash, stopcopy" }, \
	{ "suspend", NULL, "do not let it run on HOST: it stays paused there" }, \
	{ "persistent", NULL, "store its definition on HOST, too" }, \
	{ "verify", NULL, "compare all memory on both hosts before it runs there (costs downtime)" }, \
	{ "audit", NULL, "prove that no changed page was missed (costs downtime)" } }
/* clang-format on */

static const struct cli_cmd commands[] = {
	{ .name = "push",
	  .args = "DOMAIN HOST",
	  .has_json = true,
	  .run = vmmig_push,
	  .summary = "move a running domain to another host",
	  .help = "HOST is a pinned peer (vmmig peers list). Ctrl-C calls it off; the domain runs on here.",
	  .option = PUSH_OPTIONS },
	{ .name = "plan",
	  .args = "DOMAIN HOST",
	  .has_json = true,
	  .run = vmmig_plan,
	  .summary = "say what a push would do, and what would stop it",
	  .help = "Forecasts rounds, time and downtime. Changes nothing. Fails when a push is not possible.",
	  .option = PUSH_OPTIONS },
	{ .name = "status",
	  .args = "[DOMAIN]",
	  .has_json = true,
	  .run = vmmig_status,
	  .summary = "show migrations from and to this host",
	  .option = { { "watch", NULL, "again twice a second, until nothing is under way" } } },
	{ .name = "cancel",
	  .args = "DOMAIN",
	  .run = vmmig_cancel,
	  .summary = "call a migration off; the domain runs on where it is",
	  .help = "Possible until the target owns the domain." },
	{ .name = "resolve",
	  .args = "DOMAIN",
	  .run = vmmig_resolve,
	  .summary = "last resort: say who owns a domain that is in doubt",
	  .help = "For a domain that is in doubt because the other host does not come back. The owner runs it, the other copy is given up.\n"
	          "If the domain runs on the other host after all, there will be TWO copies writing to the same disks: first make sure\n"
	          "that the other host is off, or that the domain cannot run there.",
	  .option = { { "owner", "local|HOST", "who runs it; needed" } } },
	{ .name = "peers",
	  .args = "[list|add|remove|self ...]",
	  .has_json = true,
	  .dashes = true, /* a key may begin with them */
	  .run = vmmig_peers,
	  .summary = "the hosts that this one trusts",
	  .help = "  list                             those that there are\n"
	          "  add NAME ADDRESS[:PORT] KEY      KEY is what vmmig peers self prints on that host\n"
	          "  remove NAME\n"
	          "  self                             this host's name, port and key\n"
	          "They may push domains to this host, and it may push to them. Both hosts must add each other." },
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

int vmmig_ask(json_t *order, json_t **ret, struct err *err)
{
	_cleanup_jsonconn_ struct jsonconn c = { .fd = -1 };
	int r = jsonconn_order(&c, &vmmig_peer, order, err);

	while (r == 0) {
		_cleanup_json_ json_t *o = NULL;

		r = jsonconn_recv(&c, true, &o, err);
		if (r < 0 || !strcmp(field_text(o, "type"), "progress")) /* of a plan that waits for its peer */
			continue;
		if (!strcmp(field_text(o, "type"), "error"))
			return err_set(err, EIO, "%s", *field_text(o, "error") ? field_text(o, "error") : "failed");
		*ret = steal_ptr(&o);
		return 0;
	}
	return r;
}

int main(int argc, char **argv)
{
	static const struct cli_program program = {
		.name = "vmmig",
		.intro = "Moves running domains between hosts.",
		.manual = "vmmig(8)",
		.exit_statuses = "0 done, 1 failed, 2 wrong usage, 3 cancelled",
		.cmd = commands,
		.n_cmds = ARRAY_SIZE(commands),
	};

	return cli_main(&program, argc, argv);
}
