/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vmctl_agent.h; and vmctl domifaddr, which shows what the agent says of the guest's addresses. */
#include "config.h"
#include "tools/vmctl_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "tools/vmctl_int.h"

#define LINE_MAX_BYTES (256u * 1024)
#define TOTAL_MAX      (1u << 20) /* octets that are read in one wait */
#define SENTINEL       '\xff'     /* begins the answer to guest-sync-delimited, and ends what was said before */
#define SYNC_MS        1500u
#define ANSWER_MS      5000u
#define REFUSAL_MS     700u /* orders without an answer when they are taken */
#define INTERFACES_MAX 64u
#define ADDRESSES_MAX  64u /* of each */

void vmctl_agent_close(struct vmctl_agent *a)
{
	if (a->fd >= 0)
		close(a->fd);
	free(a->buf);
	*a = (struct vmctl_agent){ .fd = -1 };
}

/* Wire ----------------------------------------------------------------------------------------------------------- */

static int send_line(struct vmctl_agent *a, const char *cmd, json_t *args, bool sentinel, struct err *err)
{
	json_t *o = json_pack("{s:s, s:o*}", "execute", cmd, "arguments", args);
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	_cleanup_free_ char *line = text ? xasprintf("%s%s\n", sentinel ? "\xff" : "", text) : NULL;

	json_decref(o);
	if (!line)
		return err_set(err, ENOMEM, "out of memory");
	if (send(a->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(line))
		return err_set(err, ETIMEDOUT, "the guest's agent takes no orders");
	return 0;
}

/* Forget @n octets of what was read. */
static void drop(struct vmctl_agent *a, size_t n)
{
	memmove(a->buf, a->buf + n, a->len - n);
	a->len -= n;
}

/* The next line, which stays in a->buf up to @ret_len octets; the caller drops it. */
static int wait_line(struct vmctl_agent *a, uint64_t until_ns, size_t *budget, size_t *ret_len, struct err *err)
{
	for (;;) {
		char *nl = memchr(a->buf, '\n', a->len);
		uint64_t now = now_ns();
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		if (nl) {
			*ret_len = (size_t)(nl - a->buf) + 1;
			return 0;
		}
		if (a->len == LINE_MAX_BYTES || !*budget)
			return err_set(err, EPROTO, "the guest's agent talks without end");
		if (now >= until_ns || poll(&p, 1, (int)((until_ns - now) / NS_PER_MS) + 1) == 0)
			return err_set(err, ETIMEDOUT, "the guest's agent does not answer");
		size_t room = LINE_MAX_BYTES - a->len;
		ssize_t n = recv(a->fd, a->buf + a->len, room < *budget ? room : *budget, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return err_set(err, ECONNRESET, "the domain ended, or another program took its agent over");
		a->len += n > 0 ? (size_t)n : 0;
		*budget -= n > 0 ? (size_t)n : 0;
	}
}

/* The answer @id, behind a sentinel; all that comes before it is of others, or nobody's. */
static int sync_with(struct vmctl_agent *a, json_int_t id, unsigned ms, struct err *err)
{
	uint64_t until = now_ns() + ms * NS_PER_MS;
	size_t budget = TOTAL_MAX, len;
	bool found = false;

	int r = send_line(a, "guest-sync-delimited", json_pack("{s:I}", "id", id), true, err);
	while (!r && !found) {
		r = wait_line(a, until, &budget, &len, err);
		if (r < 0)
			break;
		char *at = memrchr(a->buf, SENTINEL, len);
		json_t *o = at ? json_loadb(at + 1, len - (size_t)(at + 1 - a->buf), 0, NULL) : NULL;
		const json_t *said = json_object_get(o, "return");
		found = json_is_integer(said) && json_integer_value(said) == id;
		json_decref(o);
		drop(a, len);
	}
	return r;
}

int vmctl_agent_call(struct vmctl_agent *a, const char *cmd, json_t *args, unsigned ms, json_t **ret, struct err *err)
{
	uint64_t until = now_ns() + ms * NS_PER_MS;
	size_t budget = TOTAL_MAX, len;
	json_error_t je;
	int r = send_line(a, cmd, args, false, err);

	if (!r)
		r = wait_line(a, until, &budget, &len, err);
	if (r < 0)
		return r;
	json_t *o = json_loadb(a->buf, len, 0, &je);
	json_t *said = json_object_get(o, "return"), *refusal = json_object_get(o, "error");
	drop(a, len);
	if (said && !refusal)
		*ret = json_incref(said);
	else
		r = err_set(err, refusal ? EREMOTEIO : EPROTO, "%s",
		            refusal ? "the guest's agent refuses, or does not know how"
		                    : "the guest's agent talks nonsense");
	json_decref(o);
	return r;
}

int vmctl_agent_open(struct vmctl_agent *a, const char *name, unsigned ms, struct err *err)
{
	struct hv_console_req req = { .index = HV_CONSOLE_NONE, .flags = HV_CONSOLE_AGENT };
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	uint32_t id = 0;
	size_t n = 1;

	*a = (struct vmctl_agent){ .fd = -1 };
	int r = vmhost_connect(&c, name, err);
	if (!r)
		r = hvcall(&c, HV_OP_CONSOLE, &req, sizeof(req), NULL, 0, NULL, 0, NULL, &a->fd, &n, err);
	if (r == -EBUSY)
		return err_set(err, EBUSY, "another program talks to the guest's agent");
	if (r < 0)
		return r;
	a->buf = malloc(LINE_MAX_BYTES);
	if (!n || !a->buf)
		return err_set(err, n ? ENOMEM : EPROTO, n ? "out of memory" : "hvdom sent no socket");
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return err_sys(err, errno, "a random number");
	return sync_with(a, id, ms, err);
}

/* Orders --------------------------------------------------------------------------------------------------------- */

int vmctl_agent_shutdown(const char *name, struct err *err)
{
	_cleanup_vmctl_agent_ struct vmctl_agent a = { .fd = -1 };
	json_t *said = NULL;
	int r = vmctl_agent_open(&a, name, SYNC_MS, err);

	if (r < 0)
		return r;
	r = vmctl_agent_call(&a, "guest-shutdown", json_pack("{s:s}", "mode", "powerdown"), REFUSAL_MS, &said, err);
	json_decref(said);
	/* it answers only to refuse; the guest may be gone by now */
	return r == -ETIMEDOUT || r == -ECONNRESET ? 0 : r;
}

void vmctl_agent_set_time(const char *name)
{
	_cleanup_vmctl_agent_ struct vmctl_agent a = { .fd = -1 };
	struct timespec ts;
	json_t *said = NULL;

	if (vmctl_agent_open(&a, name, SYNC_MS, NULL) < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	json_int_t ns = (json_int_t)ts.tv_sec * (json_int_t)NS_PER_S + ts.tv_nsec;
	if (vmctl_agent_call(&a, "guest-set-time", json_pack("{s:I}", "time", ns), ANSWER_MS, &said, NULL) < 0)
		fprintf(stderr, "vmctl: note: the agent of guest '%s' did not set its clock\n", name);
	json_decref(said);
}

/* Addresses ------------------------------------------------------------------------------------------------------ */

/* Nothing that a terminal would act upon. @len octets with the NUL. */
static void put_plain(char *to, size_t len, const char *text)
{
	size_t i = 0;

	for (; text && text[i] && i + 1 < len; i++)
		to[i] = text[i] > ' ' && text[i] <= '~' ? text[i] : '?';
	to[i] = 0;
}

/* False: this is no address. */
static bool address(const json_t *o, const char **family, char text[INET6_ADDRSTRLEN], int *prefix)
{
	const char *type = json_string_value(json_object_get(o, "ip-address-type"));
	const char *ip = json_string_value(json_object_get(o, "ip-address"));
	bool six = type && !strcmp(type, "ipv6");
	json_int_t bits = json_integer_value(json_object_get(o, "prefix"));
	uint8_t raw[16];

	if (!type || !ip || (!six && strcmp(type, "ipv4")) || bits < 0 || bits > (six ? 128 : 32) ||
	    inet_pton(six ? AF_INET6 : AF_INET, ip, raw) != 1)
		return false;
	*family = six ? "ipv6" : "ipv4";
	*prefix = (int)bits;
	return inet_ntop(six ? AF_INET6 : AF_INET, raw, text, INET6_ADDRSTRLEN);
}

/* One interface; into @list, or onto the screen if that is NULL. */
static void show(const json_t *o, json_t *list)
{
	char name[24], mac[24], ip[INET6_ADDRSTRLEN];
	json_t *addresses = json_array(), *a;
	const char *family;
	size_t i, n = 0;
	int prefix;

	put_plain(name, sizeof(name), json_string_value(json_object_get(o, "name")));
	put_plain(mac, sizeof(mac), json_string_value(json_object_get(o, "hardware-address")));
	json_array_foreach(json_object_get(o, "ip-addresses"), i, a)
	{
		if (n == ADDRESSES_MAX || !address(a, &family, ip, &prefix))
			continue;
		if (list)
			json_array_append_new(addresses, json_pack("{s:s, s:s, s:i}", "family", family, "address", ip,
			                                           "prefix", prefix));
		else
			printf(" %-10s %-20s %-8s %s/%d\n", n ? "-" : name, n ? "-" : mac, family, ip, prefix);
		n++;
	}
	if (list)
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:O}", "name", name, "mac", mac, "addresses", addresses));
	else if (!n)
		printf(" %-10s %-20s %-8s %s\n", name, mac, "-", "-");
	json_decref(addresses);
}

int vmctl_domifaddr(struct cli *v, struct err *err)
{
	_cleanup_vmctl_agent_ struct vmctl_agent a = { .fd = -1 };
	json_t *said = NULL, *o, *list = v->json ? json_array() : NULL;
	size_t i;
	int r = vmctl_agent_open(&a, v->arg[0], ANSWER_MS, err);

	if (!r)
		r = vmctl_agent_call(&a, "guest-network-get-interfaces", NULL, ANSWER_MS, &said, err);
	if (!r && !json_is_array(said))
		r = err_set(err, EPROTO, "the guest's agent talks nonsense");
	if (r < 0) {
		json_decref(said);
		json_decref(list);
		return err_prefix(err, "domifaddr %s", v->arg[0]);
	}
	if (!list)
		printf(" %-10s %-20s %-8s %s\n%s\n", "Name", "MAC address", "Protocol", "Address",
		       "---------------------------------------------------------------");
	json_array_foreach(said, i, o)
	{
		if (i < INTERFACES_MAX)
			show(o, list);
	}
	json_decref(said);
	return list ? vmctl_print_json(list, err) : 0;
}
