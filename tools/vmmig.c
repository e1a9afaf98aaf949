/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig: moves domains between hosts. This file: commands, the connection to migrated; the rest is vmmig_*.c. */
#include <config.h>
#include "tools/vmmig_int.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "common/util.h"

#define LINE_MAX_BYTES (4u << 20)

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

	(void)sigaction(SIGINT, &sa, NULL); /* SIGTERM just ends vmmig; the migration goes on */
}

int vmmig_fail(const struct err *err)
{
	fprintf(stderr, "vmmig: %s\n", err->text);
	return EXIT_FAILED;
}

void vmmig_print_json(json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
}

int vmmig_connect(struct vmmig_conn *c, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *path = xasprintf("%s/migrated.sock", path_run());

	*c = (struct vmmig_conn){ .fd = -1 };
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(a.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_sys(err, errno, "socket");
	if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	int r = errno;
	vmmig_close(c);
	if (r == EACCES)
		return err_set(err, r, "%s: permission denied; run as root", path);
	return err_set(err, r, "migrated does not run on this host (%s: %s): start it", path, strerror(r));
}

void vmmig_close(struct vmmig_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

int vmmig_send(struct vmmig_conn *c, json_t *o, struct err *err)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (!text)
		return err_sys(err, ENOMEM, "order");
	int r = write_full(c->fd, text, strlen(text));
	if (r == 0)
		r = write_full(c->fd, "\n", 1);
	return r < 0 ? err_sys(err, r, "migrated") : 0;
}

int vmmig_recv(struct vmmig_conn *c, json_t **ret, struct err *err)
{
	for (;;) {
		uint8_t *nl = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
		if (nl) {
			size_t len = (size_t)(nl - c->in.data);
			json_t *o = json_loadb((char *)c->in.data, len, 0, NULL);
			memmove(c->in.data, nl + 1, c->in.len - len - 1);
			c->in.len -= len + 1;
			if (!json_is_object(o)) {
				json_decref(o);
				return err_set(err, EPROTO, "migrated said something that is not JSON");
			}
			*ret = o;
			return 0;
		}
		void *p = c->in.len < LINE_MAX_BYTES ? buf_reserve(&c->in, 4096) : NULL;
		if (!p)
			return err_set(err, ENOMEM, "migrated says too much");
		ssize_t n = recv(c->fd, p, 4096, 0);
		if (n < 0 && errno == EINTR)
			return err_set(err, EINTR, "interrupted");
		if (n <= 0)
			return err_set(err, ECONNRESET,
			               "migrated went away; `vmmig status` tells how things stand once it is back");
		c->in.len += (size_t)n;
	}
}

json_t *vmmig_ask(json_t *order)
{
	struct vmmig_conn c;
	struct err err = { 0 };
	json_t *o = NULL;
	int r = vmmig_connect(&c, &err);

	if (r < 0) {
		json_decref(order);
	} else {
		r = vmmig_send(&c, order, &err);
		/* a plan that waits for its peer reports progress first */
		do {
			json_decref(o);
			o = NULL;
			if (r == 0)
				r = vmmig_recv(&c, &o, &err);
		} while (r == 0 && !strcmp(json_string_value(json_object_get(o, "type")) ?: "", "progress"));
		vmmig_close(&c);
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
