/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig peers: reads and writes the files that migrated pins keys by; it reads them anew at every connection. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "migrated/io/peers.h"
#include "tools/vmmig_int.h"

static int list(const struct cli *v, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	int r = peers_load(&ps, err);

	if (r < 0)
		return r;
	_cleanup_json_ json_t *a = json_array();
	for (size_t i = 0; i < ps.n; i++) {
		const struct peer *p = &ps.p[i];
		if (v->json)
			(void)json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:s}", "name", p->name, "address",
			                                         p->address, "port", (int)p->port, "public_key",
			                                         p->public_key));
		else
			printf("%-20s %s:%u  %s\n", p->name, p->address, p->port, p->public_key);
	}
	if (v->json)
		cli_print_json(v, a);
	else if (!ps.n)
		printf("no peer is pinned\n");
	return 0;
}

static int self(const struct cli *v, struct err *err)
{
	struct node n;
	int r = node_load(&n, false, err);

	if (r < 0)
		return r;
	explicit_bzero(n.secret_key, sizeof(n.secret_key));
	if (v->json) {
		_cleanup_json_ json_t *o = json_pack("{s:s, s:i, s:s}", "name", n.name, "port", (int)n.port,
		                                     "public_key", n.public_key);
		cli_print_json(v, o);
	} else {
		printf("%s port %u\n%s\n", n.name, n.port, n.public_key);
	}
	return 0;
}

int vmmig_peers(struct cli *v, struct err *err)
{
	const char *what = v->n_args ? v->arg[0] : "list";

	if (v->n_args <= 1 && !strcmp(what, "list"))
		return list(v, err);
	if (v->n_args == 1 && !strcmp(what, "self"))
		return self(v, err);
	if (v->n_args == 4 && !strcmp(what, "add"))
		return peer_add(v->arg[1], v->arg[2], v->arg[3], err);
	if (v->n_args == 2 && !strcmp(what, "remove"))
		return peer_remove(v->arg[1], err);
	return err_set(err, CLI_EUSAGE, "peers list, self, add NAME ADDRESS[:PORT] KEY, or remove NAME");
}
