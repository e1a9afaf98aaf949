/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig peers: reads and writes the files that migrated pins keys by; it reads them anew at every connection. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "migrated/io/peers.h"
#include "tools/vmmig_int.h"

static const char peers_help[] =
	"usage: vmmig peers [list] [--json]\n"
	"       vmmig peers add NAME ADDRESS[:PORT] KEY\n"
	"       vmmig peers remove NAME\n"
	"       vmmig peers self [--json]\n\n"
	"The hosts that may push domains to this one, and that it may push to. KEY is what `vmmig peers self` prints on that host.\n"
	"Both hosts must add each other.\n";

static int list(bool json)
{
	_cleanup_peers_ struct peers ps = { 0 };
	struct err err;

	if (peers_load(&ps, &err) < 0)
		return vmmig_fail(&err);
	_cleanup_json_ json_t *a = json_array();
	for (size_t i = 0; i < ps.n; i++) {
		const struct peer *p = &ps.p[i];
		if (json)
			(void)json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:s}", "name", p->name, "address",
			                                         p->address, "port", (int)p->port, "public_key",
			                                         p->public_key));
		else
			printf("%-20s %s:%u  %s\n", p->name, p->address, p->port, p->public_key);
	}
	if (json)
		jsonconn_print(a);
	else if (!ps.n)
		printf("no peer is pinned\n");
	return EXIT_DONE;
}

static int self(bool json)
{
	struct node n;
	struct err err;

	if (node_load(&n, false, &err) < 0)
		return vmmig_fail(&err);
	explicit_bzero(n.secret_key, sizeof(n.secret_key));
	if (json) {
		_cleanup_json_ json_t *o = json_pack("{s:s, s:i, s:s}", "name", n.name, "port", (int)n.port,
		                                     "public_key", n.public_key);
		jsonconn_print(o);
	} else {
		printf("%s port %u\n%s\n", n.name, n.port, n.public_key);
	}
	return EXIT_DONE;
}

int vmmig_peers(int argc, char **argv)
{
	const char *arg[5] = { NULL };
	struct err err;
	bool json = false;
	int n = 0;

	/* not getopt: a key may begin with '-' */
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(peers_help, stdout);
			return EXIT_DONE;
		}
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (n < 5)
			arg[n++] = argv[i];
	}
	if (n == 0 || (n == 1 && !strcmp(arg[0], "list")))
		return list(json);
	if (n == 1 && !strcmp(arg[0], "self"))
		return self(json);
	if (n == 4 && !strcmp(arg[0], "add"))
		return peer_add(arg[1], arg[2], arg[3], &err) < 0 ? vmmig_fail(&err) : EXIT_DONE;
	if (n == 2 && !strcmp(arg[0], "remove"))
		return peer_remove(arg[1], &err) < 0 ? vmmig_fail(&err) : EXIT_DONE;
	fputs(peers_help, stderr);
	return EXIT_USAGE;
}
