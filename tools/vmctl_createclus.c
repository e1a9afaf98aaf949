/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl create: a domain of the cluster, by the orders that vmclus gives to this host's clusterd; and the wait for a guest's SSH server. */
#include "config.h"
#include "tools/vmctl_create.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/magic.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "tools/vmclus_int.h"
#include "tools/vmctl_int.h"
#include "tools/vmhost_agent.h"

#define START_S 120.0

int create_cluster_has(const char *name, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	json_t *d;
	size_t i;
	int r = vmclus_order(json_pack("{s:s}", "op", "status"), "status", NULL, NULL, &o, err);

	if (r < 0)
		return err_prefix(err, "the cluster");
	json_array_foreach(json_object_get(o, "domains"), i, d) if (!strcmp(field_text(d, "name"), name)) return 1;
	return 0;
}

/* For a person: not each host has to be able to run it. */
static void print_hosts(const char *name)
{
	_cleanup_json_ json_t *o = NULL;
	struct err why = { 0 };
	json_t *h;
	size_t i;

	if (vmclus_order(json_pack("{s:s, s:s}", "op", "explain", "name", name), "explain", NULL, NULL, &o, &why) < 0)
		return;
	json_array_foreach(json_object_get(o, "hosts"), i, h) if (!field_true(h, "ok"))
		fprintf(stderr, "vmctl: note: %s cannot run it: %s\n", field_text(h, "name"), field_text(h, "text"));
}

int create_cluster_define(const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	int r = dom_config_format(cfg, &xml, err);

	if (!r)
		r = vmclus_order(json_pack("{s:s, s:s, s:s}", "op", "define", "xml", xml, "origin", "vmctl create"),
		                 NULL, NULL, NULL, NULL, err);
	if (!r)
		print_hosts(cfg->name);
	return r;
}

int create_cluster_start(const char *name, struct err *err)
{
	return vmclus_order(json_pack("{s:s, s:s, s:b, s:f}", "op", "start", "name", name, "wait", 1, "timeout_s",
	                              START_S),
	                    NULL, NULL, NULL, NULL, err);
}

int create_cluster_undo(const char *name, struct err *err)
{
	struct err why = { 0 };
	int r = vmclus_order(json_pack("{s:s, s:s, s:b, s:f}", "op", "stop", "name", name, "wait", 1, "timeout_s",
	                               START_S),
	                     NULL, NULL, NULL, NULL, &why);

	/* undefine says whether it still runs */
	r = vmclus_order(json_pack("{s:s, s:s}", "op", "undefine", "name", name), NULL, NULL, NULL, NULL, err);
	return r;
}

void create_cluster_look_at_dir(const char *dir)
{
	static const long local[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
		                      TMPFS_MAGIC };
	struct statfs st;

	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		if (!statfs(dir, &st) && (long)st.f_type == local[i])
			fprintf(stderr,
			        "vmctl: warning: %s is on a file system of this host's: are these files the same on all hosts "
			        "of the cluster?\n",
			        dir);
}

/* Does SSH's port at @ip greet? Waits a few seconds. */
static bool greets(const char *ip)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *a = NULL;
	char hello[4];
	bool is = false;

	if (getaddrinfo(ip, "22", &hints, &a))
		return false;
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		(void)!connect(fd, a->ai_addr, a->ai_addrlen);
		is = poll(&p, 1, 3000) > 0 && recv(fd, hello, sizeof(hello), MSG_WAITALL) == (ssize_t)sizeof(hello) &&
		     !memcmp(hello, "SSH-", 4);
	}
	freeaddrinfo(a);
	return is;
}

static bool runs_here(const struct create *c)
{
	struct vmhost_dom d;
	bool is;

	vmhost_look(&d, c->name);
	is = d.running || d.silent;
	vmhost_dom_done(&d);
	return is;
}

/* Not loopback, nor an address that only its link knows. */
static bool may_be_reached(const struct vmhost_address *a)
{
	struct in6_addr six;
	struct in_addr four;

	if (a->six)
		return inet_pton(AF_INET6, a->ip, &six) == 1 && !IN6_IS_ADDR_LOOPBACK(&six) &&
		       !IN6_IS_ADDR_LINKLOCAL(&six);
	return inet_pton(AF_INET, a->ip, &four) == 1 && ntohl(four.s_addr) >> 24 != 127 &&
	       ntohl(four.s_addr) >> 16 != (169 << 8 | 254);
}

/* One that greets of those that the guest's own agent tells goes to @ip. */
static bool told_one_greets(const char *name, char *ip)
{
	_cleanup_free_ struct vmhost_interface *f = NULL;
	struct err none = { 0 };
	size_t n = 0;

	if (vmhost_addresses(name, &f, &n, &none) < 0)
		return false;
	for (size_t i = 0; i < n && !vmctl_stopped; i++)
		for (size_t k = 0; k < f[i].n; k++) {
			const struct vmhost_address *a = &f[i].address[k];

			if (!may_be_reached(a) || !greets(a->ip))
				continue;
			snprintf(ip, INET6_ADDRSTRLEN, "%s", a->ip);
			return true;
		}
	return false;
}

int create_wait_ssh(const struct create *c, char *ip, double seconds, struct err *err)
{
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), shown = 0;
	bool is, gone = false, ask = !ip[0];

	/* one of the cluster may be on another host, and start again */
	while (!(is = ask ? told_one_greets(c->name, ip) : greets(ip)) && now_ns() < end && !vmctl_stopped &&
	       !(gone = (!c->cluster || ask) && !runs_here(c))) {
		if (isatty(STDERR_FILENO) && now_ns() - shown > NS_PER_S) {
			shown = now_ns();
			fprintf(stderr, "\rwaiting for '%s' at %s ... %u s\033[K", c->name,
			        ask ? "an address that it tells" : ip, (unsigned)((shown - start) / NS_PER_S));
		}
		usleep(200000);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (is)
		return 0;
	if (vmctl_stopped)
		return err_set(err, EINTR, "interrupted; domain '%s' runs on", c->name);
	if (gone && c->cluster)
		return err_set(
			err, EREMOTE,
			"domain '%s' does not run on this host, whose vmctl could ask its agent: vmclus status says where, "
			"and vmctl domifaddr %s there its address",
			c->name, c->name);
	if (gone)
		return err_set(err, ECONNABORTED, "domain '%s' was started, and has ended: %s/%s-boot.log may say why",
		               c->name, path_log(), c->name);
	return err_set(
		err, ETIMEDOUT,
		"domain '%s' runs, but no SSH server has answered at %s for %.0f s; vmctl console --boot %s shows what it does",
		c->name, ask ? "an address that its agent told" : ip, seconds, c->name);
}
