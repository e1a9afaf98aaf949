/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of vmclus share: orders to clusterd and its answers, questions to a person. See vmclus_int.h. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"

#define SILENT_MS 3000 /* after so long without a line clusterd is asked whether it lives */

const struct jsonconn_peer vmclus_peer = {
	.daemon = "clusterd",
	.start = "start it, or ask another host",
	.expected = "a JSON object; is it of another version?",
	.lost = "whether the order was taken shows in vmclus status, on any host",
	.line_bytes_max = 64u << 20, /* a status of thousands of domains is large */
	.answer_s = VMCLUS_ANSWER_S,
};

/* For how long a clusterd that says nothing may leave a ping unanswered. */
static unsigned answer_s(void)
{
	const char *env = secure_getenv("HOSPES_ANSWER_S");
	int s = env ? atoi(env) : 0;

	return s > 0 ? (unsigned)s : VMCLUS_ANSWER_S;
}

/*
 * Nothing comes on @c, whose order may take as long as it likes: does clusterd live? Asked on a connection of its own, where any answer will
 * do. 0: it does, or @c can be read. Counts polls of a second instead of looking at a clock, which goes on while this program is suspended.
 */
static int ping(struct jsonconn *c, struct err *err)
{
	_cleanup_jsonconn_ struct jsonconn beside = { .fd = -1 };
	unsigned limit_s = answer_s();
	int r = jsonconn_order(&beside, &vmclus_peer, json_pack("{s:s}", "op", "ping"), err);

	if (r < 0)
		return r == -ETIMEDOUT ? r : 0; /* if it is gone, @c says so */
	for (unsigned s = 0; s < limit_s; s++) {
		struct pollfd fd[] = { { .fd = c->fd, .events = POLLIN }, { .fd = beside.fd, .events = POLLIN } };

		if (poll(fd, ARRAY_SIZE(fd), 1000) > 0)
			return 0;
		if (s == 0 && limit_s > 1)
			fprintf(stderr, "vmclus: clusterd does not answer; waiting for it, at most %u s\n",
			        limit_s - 1);
	}
	return err_set(
		err, ETIMEDOUT,
		"clusterd has not answered for %u s: it stands still, or this host is overloaded; "
		"if it goes on, it may carry the order out yet (vmclus status on another host shows the cluster)",
		limit_s + SILENT_MS / 1000);
}

int vmclus_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = jsonconn_recv(c, false, &o, err);

	while (r == -EAGAIN && wait) {
		struct pollfd fd = { .fd = c->fd, .events = POLLIN };

		r = poll(&fd, 1, SILENT_MS) == 0 ? ping(c, err) : 0;
		if (r == 0)
			r = jsonconn_recv(c, false, &o, err);
	}
	if (r < 0)
		return r;
	if (!strcmp(field_text(o, "type"), "error")) {
		const char *why = field_text(o, "error");

		return err_set(err, field_errno(o, "code"), "%s", *why ? why : "failed");
	}
	*ret = steal_ptr(&o);
	return 0;
}

static void print_warnings(const json_t *o)
{
	json_t *w;
	size_t i;

	json_array_foreach(json_object_get(o, "warnings"), i, w)
		fprintf(stderr, "vmclus: warning: %s\n", json_string_value(w) ?: "?");
}

int vmclus_order(json_t *order, const char *final, int (*each)(void *arg, json_t *o, struct err *err), void *arg,
                 json_t **ret, struct err *err)
{
	_cleanup_jsonconn_ struct jsonconn c = { .fd = -1 };
	int r = jsonconn_order(&c, &vmclus_peer, order, err);

	while (!r) {
		_cleanup_json_ json_t *o = NULL;

		r = vmclus_recv(&c, true, &o, err);
		if (r == -EINTR) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		const char *type = field_text(o, "type");
		if (!strcmp(type, "ok") || (final && !strcmp(type, final))) {
			print_warnings(o);
			if (ret)
				*ret = json_incref(o);
			return 0;
		}
		if (each)
			r = each(arg, o, err);
	}
	return r;
}

int vmclus_timeout(struct cli *v, unsigned option, json_t *order, struct err *err)
{
	double s;
	int r = cli_opt_number(v, option, 0.1, 86400, &s, err);

	if (r < 0)
		json_decref(order);
	else if (cli_opt(v, option))
		(void)json_object_set_new(order, "timeout_s", json_real(s));
	return r;
}

int vmclus_time(const char *what, const char *text, double min, double max, double *ret, struct err *err)
{
	static const char units[] = "smhd";
	static const double seconds[] = { 1, 60, 3600, 86400 };
	_cleanup_free_ char *number = xasprintf("%s", text);
	size_t n = strlen(number);
	const char *unit = n ? strchr(units, number[n - 1]) : NULL;
	double factor = unit ? seconds[unit - units] : 1;

	if (unit)
		number[n - 1] = 0;
	int r = cli_number(what, number, min / factor, max / factor, ret, err);
	*ret *= factor;
	return r;
}

int vmclus_confirm(const char *question, const char *expect, struct err *err)
{
	char line[128];

	if (!isatty(STDIN_FILENO))
		return err_set(err, EINVAL, "this has to be confirmed, and there is no terminal to ask on: add --yes");
	printf("%s ", question);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		line[0] = 0;
	line[strcspn(line, "\n")] = 0;
	return strcmp(line, expect) ? VMCLUS_DECLINED : 0;
}
