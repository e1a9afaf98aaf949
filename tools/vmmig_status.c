/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig status, cancel, resolve. */
#include "config.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/vmmig_int.h"

static const char status_help[] =
	"usage: vmmig status [DOMAIN] [--watch] [--json]\n\n"
	"Shows migrations from and to this host. --watch repeats until nothing is under way.\n";
static const char resolve_help[] =
	"usage: vmmig resolve DOMAIN --owner local|HOST\n\n"
	"Last resort for a domain that is in doubt because the other host does not come back. The owner runs it, the other copy is given\n"
	"up. If the domain runs on the other host after all, there will be TWO copies writing to the same disks: first make sure that\n"
	"the other host is off, or that the domain cannot run there.\n";

static void show(json_t *o)
{
	json_t *list = json_object_get(o, "migrations"), *m;
	size_t i;

	if (!json_array_size(list))
		printf("no migration is under way on %s\n",
		       json_string_value(json_object_get(o, "host")) ?: "this host");
	json_array_foreach(list, i, m)
	{
		const char *role = json_string_value(json_object_get(m, "role")) ?: "",
			   *help = json_string_value(json_object_get(m, "help"));
		bool out = !strcmp(role, "source");
		char a[32], b[32];
		printf("%-16s %s -> %s  %-10s ", json_string_value(json_object_get(m, "domain")) ?: "?",
		       json_string_value(json_object_get(m, "from")) ?: "?",
		       json_string_value(json_object_get(m, "to")) ?: "?",
		       json_string_value(json_object_get(m, "phase")) ?: "?");
		if (out)
			printf("round %lld, sent %s, remaining %s, %.1f s\n",
			       (long long)json_integer_value(json_object_get(m, "round")),
			       size_format((uint64_t)json_integer_value(json_object_get(m, "sent_bytes")), a,
			                   sizeof(a)),
			       size_format((uint64_t)json_integer_value(json_object_get(m, "remaining_bytes")), b,
			                   sizeof(b)),
			       (double)json_integer_value(json_object_get(m, "time_elapsed")) / 1000);
		else
			printf("received %s, %.1f s\n",
			       size_format((uint64_t)json_integer_value(json_object_get(m, "received_bytes")), a,
			                   sizeof(a)),
			       (double)json_integer_value(json_object_get(m, "time_elapsed")) / 1000);
		if (help)
			printf("    %s\n", help);
	}
	fflush(stdout);
}

int vmmig_status(int argc, char **argv)
{
	static const struct option opts[] = { { "watch", no_argument, NULL, 'w' },
		                              { "json", no_argument, NULL, 'j' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	bool watch = false, json = false;

	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'w') {
			watch = true;
		} else if (c == 'j') {
			json = true;
		} else {
			fputs(status_help, c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_DONE : EXIT_USAGE;
		}
	}
	if (argc - optind > 1) {
		fputs(status_help, stderr);
		return EXIT_USAGE;
	}
	const char *domain = argc > optind ? argv[optind] : NULL;
	vmmig_catch_signals();
	for (;;) {
		_cleanup_json_ json_t *o = vmmig_ask(domain ? json_pack("{s:s, s:s}", "op", "status", "domain", domain)
		                                            : json_pack("{s:s}", "op", "status"));
		if (!o)
			return EXIT_FAILED;
		(void)json_object_del(o, "type");
		if (json)
			jsonconn_print(o);
		else
			show(o);
		if (!watch || vmmig_interrupts || !json_array_size(json_object_get(o, "migrations")))
			return EXIT_DONE;
		usleep(500000);
	}
}

int vmmig_cancel(int argc, char **argv)
{
	if (argc != 2 || !strcmp(argv[1], "--help")) {
		fputs("usage: vmmig cancel DOMAIN\n\nCalls a migration off. Possible until the target owns the domain.\n",
		      argc == 2 ? stdout : stderr);
		return argc == 2 ? EXIT_DONE : EXIT_USAGE;
	}
	_cleanup_json_ json_t *o = vmmig_ask(json_pack("{s:s, s:s}", "op", "cancel", "domain", argv[1]));
	return o ? EXIT_DONE : EXIT_FAILED;
}

int vmmig_resolve(int argc, char **argv)
{
	static const struct option opts[] = { { "owner", required_argument, NULL, 'o' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	const char *owner = NULL;

	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'o') {
			owner = optarg;
		} else {
			fputs(resolve_help, c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_DONE : EXIT_USAGE;
		}
	}
	if (!owner || argc - optind != 1) {
		fputs(resolve_help, stderr);
		return EXIT_USAGE;
	}
	_cleanup_json_ json_t *o =
		vmmig_ask(json_pack("{s:s, s:s, s:s}", "op", "resolve", "domain", argv[optind], "owner", owner));
	return o ? EXIT_DONE : EXIT_FAILED;
}
