/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vmhost_agent.h. What it says is read in bounded pieces and time, and only what was checked leaves this file. */
#include "config.h"
#include "tools/vmhost_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "tools/vmhost.h"

#define LINE_MAX_BYTES (256u * 1024)
#define TOTAL_MAX      (1u << 20) /* octets that are read in one wait */
#define SENTINEL       '\xff'     /* begins the answer to guest-sync-delimited, and ends what was said before */
#define SYNC_MS        1500u
#define ANSWER_MS      5000u
#define REFUSAL_MS     700u   /* orders without an answer when they are taken */
#define FREEZE_MS      20000u /* file systems write what they have */
#define THAW_MS        10000u
#define TRIM_MS        60000u

void vmhost_agent_close(struct vmhost_agent *a)
{
	if (a->fd >= 0)
		close(a->fd);
	free(a->buf);
	*a = (struct vmhost_agent){ .fd = -1 };
}

/* Wire ----------------------------------------------------------------------------------------------------------- */

static int send_line(struct vmhost_agent *a, const char *cmd, json_t *args, bool sentinel, struct err *err)
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
static void drop(struct vmhost_agent *a, size_t n)
{
	memmove(a->buf, a->buf + n, a->len - n);
	a->len -= n;
}

/* The next line, which stays in a->buf up to @ret_len octets; the caller drops it. */
static int wait_line(struct vmhost_agent *a, uint64_t until_ns, size_t *budget, size_t *ret_len, struct err *err)
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
static int sync_with(struct vmhost_agent *a, json_int_t id, unsigned ms, struct err *err)
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

int vmhost_agent_call(struct vmhost_agent *a, const char *cmd, json_t *args, unsigned ms, json_t **ret, struct err *err)
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

int vmhost_agent_open(struct vmhost_agent *a, const char *name, unsigned ms, struct err *err)
{
	struct hv_console_req req = { .index = HV_CONSOLE_NONE, .flags = HV_CONSOLE_AGENT };
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	uint32_t id = 0;
	size_t n = 1;

	*a = (struct vmhost_agent){ .fd = -1 };
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

int vmhost_agent_shutdown(const char *name, struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	json_t *said = NULL;
	int r = vmhost_agent_open(&a, name, SYNC_MS, err);

	if (r < 0)
		return r;
	r = vmhost_agent_call(&a, "guest-shutdown", json_pack("{s:s}", "mode", "powerdown"), REFUSAL_MS, &said, err);
	json_decref(said);
	/* it answers only to refuse; the guest may be gone by now */
	return r == -ETIMEDOUT || r == -ECONNRESET ? 0 : r;
}

int vmhost_shutdown(struct hvcall *c, const char *name, struct vmhost_ear *ear, struct err *err)
{
	if (ear)
		*ear = (struct vmhost_ear){ 0 };
	if (vmhost_agent_shutdown(name, NULL) == 0)
		return 0;
	if (ear)
		vmhost_listen(c, ear);
	return hvcall_simple(c, HV_OP_SHUTDOWN, NULL, 0, NULL, 0, err);
}

/* Its clock is right, whatever it said: it may lack hwclock, for the clock beside it. */
static bool time_is_right(struct vmhost_agent *a)
{
	json_t *said = NULL;
	struct timespec ts;
	bool right = false;

	if (vmhost_agent_call(a, "guest-get-time", NULL, ANSWER_MS, &said, NULL) == 0 && json_is_integer(said)) {
		clock_gettime(CLOCK_REALTIME, &ts);
		json_int_t s = json_integer_value(said) / (json_int_t)NS_PER_S;
		right = s >= ts.tv_sec - 2 && s <= ts.tv_sec + 2;
	}
	json_decref(said);
	return right;
}

int vmhost_agent_set_time(const char *name, struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	struct timespec ts;
	json_t *said = NULL;

	if (vmhost_agent_open(&a, name, SYNC_MS, NULL) < 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	json_int_t ns = (json_int_t)ts.tv_sec * (json_int_t)NS_PER_S + ts.tv_nsec;
	int r = vmhost_agent_call(&a, "guest-set-time", json_pack("{s:I}", "time", ns), ANSWER_MS, &said, err);
	json_decref(said);
	return r == -EREMOTEIO && time_is_right(&a) ? 0 : r;
}

/* File systems --------------------------------------------------------------------------------------------------- */

static int tell_hvdom(struct hvcall *c, unsigned seconds, struct err *err)
{
	struct hv_frozen_req q = { .seconds = seconds };

	return hvcall_simple(c, HV_OP_FROZEN, &q, sizeof(q), NULL, 0, err);
}

/* A number of file systems. */
static int ask_number(struct vmhost_agent *a, const char *cmd, unsigned ms, unsigned *ret, struct err *err)
{
	json_t *said = NULL;
	int r = vmhost_agent_call(a, cmd, NULL, ms, &said, err);

	if (!r && (!json_is_integer(said) || json_integer_value(said) < 0 || json_integer_value(said) > INT32_MAX))
		r = err_set(err, EPROTO, "the guest's agent talks nonsense");
	if (!r)
		*ret = (unsigned)json_integer_value(said);
	json_decref(said);
	return r;
}

/* Its answer to a freeze that took too long may come before that to a thaw. */
static int thaw(struct vmhost_agent *a, struct hvcall *c, unsigned *ret, struct err *err)
{
	uint32_t id = 0;
	int r = getrandom(&id, sizeof(id), 0) == sizeof(id) ? sync_with(a, id, THAW_MS, err)
	                                                    : err_sys(err, errno, "a random number");

	if (!r)
		r = ask_number(a, "guest-fsfreeze-thaw", THAW_MS, ret, err);
	return r ? r : tell_hvdom(c, 0, err);
}

int vmhost_freeze(const char *name, unsigned seconds, unsigned *ret_n, struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	unsigned thawed;
	int r = vmhost_connect(&c, name, err);

	if (!r)
		r = vmhost_agent_open(&a, name, ANSWER_MS, err);
	/* from here on hvdom thaws them in time, whatever becomes of us */
	if (!r)
		r = tell_hvdom(&c, seconds, err);
	if (r < 0)
		return r;
	r = ask_number(&a, "guest-fsfreeze-freeze", FREEZE_MS, ret_n, err);
	if (r < 0)
		(void)!thaw(&a, &c, &thawed, NULL);
	return r;
}

int vmhost_thaw(const char *name, unsigned *ret_n, struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	int r = vmhost_connect(&c, name, err);

	if (!r)
		r = vmhost_agent_open(&a, name, ANSWER_MS, err);
	return r ? r : thaw(&a, &c, ret_n, err);
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
static bool address(const json_t *o, struct vmhost_address *ret)
{
	const char *type = json_string_value(json_object_get(o, "ip-address-type"));
	const char *ip = json_string_value(json_object_get(o, "ip-address"));
	bool six = type && !strcmp(type, "ipv6");
	json_int_t bits = json_integer_value(json_object_get(o, "prefix"));
	uint8_t raw[16];

	if (!type || !ip || (!six && strcmp(type, "ipv4")) || bits < 0 || bits > (six ? 128 : 32) ||
	    inet_pton(six ? AF_INET6 : AF_INET, ip, raw) != 1)
		return false;
	ret->six = six;
	ret->prefix = (unsigned)bits;
	return inet_ntop(six ? AF_INET6 : AF_INET, raw, ret->ip, sizeof(ret->ip));
}

static void interface(const json_t *o, struct vmhost_interface *ret)
{
	json_t *a;
	size_t i;

	put_plain(ret->name, sizeof(ret->name), json_string_value(json_object_get(o, "name")));
	put_plain(ret->mac, sizeof(ret->mac), json_string_value(json_object_get(o, "hardware-address")));
	json_array_foreach(json_object_get(o, "ip-addresses"), i, a)
	{
		if (ret->n < VMHOST_ADDRESSES_MAX && address(a, &ret->address[ret->n]))
			ret->n++;
	}
}

int vmhost_addresses(const char *name, struct vmhost_interface **ret, size_t *ret_n, struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	json_t *said = NULL;
	int r = vmhost_agent_open(&a, name, ANSWER_MS, err);

	if (!r)
		r = vmhost_agent_call(&a, "guest-network-get-interfaces", NULL, ANSWER_MS, &said, err);
	if (!r && !json_is_array(said))
		r = err_set(err, EPROTO, "the guest's agent talks nonsense");
	size_t n = json_array_size(said) < VMHOST_INTERFACES_MAX ? json_array_size(said) : VMHOST_INTERFACES_MAX;
	struct vmhost_interface *list = r ? NULL : calloc(n ? n : 1, sizeof(*list));
	if (!r && !list)
		r = err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < n; i++)
		interface(json_array_get(said, i), &list[i]);
	json_decref(said);
	if (r < 0)
		return r;
	*ret = list;
	*ret_n = n;
	return 0;
}

/* Commands ------------------------------------------------------------------------------------------------------- */

/* One command, whose answer is of @type (JSON_NULL: any); *@ret is the caller's. */
static int ask(const char *name, const char *cmd, json_t *args, unsigned ms, json_type type, json_t **ret,
               struct err *err)
{
	_cleanup_vmhost_agent_ struct vmhost_agent a = { .fd = -1 };
	json_t *said = NULL;
	int r = vmhost_agent_open(&a, name, ANSWER_MS, err);

	if (r < 0) {
		json_decref(args);
		return r;
	}
	r = vmhost_agent_call(&a, cmd, args, ms, &said, err);
	if (!r && type != JSON_NULL && json_typeof(said) != type)
		r = err_set(err, EPROTO, "the guest's agent talks nonsense");
	if (r < 0 || !ret)
		json_decref(said);
	else
		*ret = said;
	return r;
}

int vmhost_agent_command(const char *name, const char *text, unsigned seconds, char **ret, struct err *err)
{
	json_t *o = json_loads(text, 0, NULL), *args = json_object_get(o, "arguments"), *said = NULL;
	const char *cmd = json_string_value(json_object_get(o, "execute"));
	int r;

	if (!cmd || (args && !json_is_object(args))) {
		json_decref(o);
		return err_set(err, EINVAL, "a command is {\"execute\": \"guest-ping\"}, perhaps with \"arguments\"");
	}
	r = ask(name, cmd, json_incref(args), seconds ? seconds * 1000 : REFUSAL_MS, JSON_NULL, &said, err);
	json_decref(o);
	if (!seconds && r == -ETIMEDOUT) {
		*ret = strdup("");
		return *ret ? 0 : err_set(err, ENOMEM, "out of memory");
	}
	if (r < 0)
		return r;
	o = json_pack("{s:o}", "return", said);
	*ret = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return *ret ? 0 : err_set(err, ENOMEM, "out of memory");
}

int vmhost_guest_hostname(const char *name, char ret[VMHOST_HOSTNAME_MAX], struct err *err)
{
	json_t *said = NULL;
	int r = ask(name, "guest-get-host-name", NULL, ANSWER_MS, JSON_OBJECT, &said, err);

	if (r < 0)
		return r;
	put_plain(ret, VMHOST_HOSTNAME_MAX, json_string_value(json_object_get(said, "host-name")));
	json_decref(said);
	return *ret ? 0 : err_set(err, EPROTO, "the guest's agent talks nonsense");
}

int vmhost_guest_time(const char *name, int64_t *ret_ns, struct err *err)
{
	json_t *said = NULL;
	int r = ask(name, "guest-get-time", NULL, ANSWER_MS, JSON_INTEGER, &said, err);

	if (!r)
		*ret_ns = json_integer_value(said);
	json_decref(said);
	return r;
}

int vmhost_guest_set_time(const char *name, int64_t ns, struct err *err)
{
	return ask(name, "guest-set-time", json_pack("{s:I}", "time", (json_int_t)ns), ANSWER_MS, JSON_NULL, NULL, err);
}

int vmhost_trim(const char *name, uint64_t minimum, struct err *err)
{
	json_t *args = minimum <= INT64_MAX ? json_pack("{s:I}", "minimum", (json_int_t)minimum) : NULL;

	return ask(name, "guest-fstrim", args, TRIM_MS, JSON_NULL, NULL, err);
}
