/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of vmclus share: the connection to clusterd, orders and answers, questions to a person. See vmclus_int.h. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "common/util.h"

#define LINE_MAX_BYTES (64u << 20) /* a status of thousands of domains is large */

int vmclus_connect(struct vmclus_conn *c, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *path = xasprintf("%s/clusterd.sock", path_run());

	*c = (struct vmclus_conn){ .fd = -1 };
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(a.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_sys(err, errno, "socket");
	if (!connect(c->fd, (struct sockaddr *)&a, sizeof(a)))
		return 0;
	int r = errno;
	vmclus_close(c);
	if (r == EACCES)
		return err_set(err, r, "%s: permission denied; run as root", path);
	return err_set(err, r, "clusterd does not run on this host (%s: %s): start it, or ask another host", path,
	               strerror(r));
}

void vmclus_close(struct vmclus_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

int vmclus_send(struct vmclus_conn *c, json_t *o, struct err *err)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int r;

	json_decref(o);
	if (!text)
		return err_sys(err, ENOMEM, "order");
	r = write_full(c->fd, text, strlen(text));
	if (!r)
		r = write_full(c->fd, "\n", 1);
	return r < 0 ? err_sys(err, r, "clusterd") : 0;
}

/* "EAGAIN" to 11: clusterd names what went wrong, so that numbers stay out of the contract. */
static int code_of(const char *name)
{
	for (int i = 1; i < 134; i++) {
		const char *n = strerrorname_np(i);

		if (n && !strcmp(n, name))
			return i;
	}
	return EIO;
}

/* The first whole line of what came, as an object. 0: there is none. */
static int take_line(struct vmclus_conn *c, json_t **ret, struct err *err)
{
	uint8_t *nl = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;

	if (!nl)
		return 0;
	size_t len = (size_t)(nl - c->in.data);
	json_t *o = json_loadb((char *)c->in.data, len, 0, NULL);

	memmove(c->in.data, nl + 1, c->in.len - len - 1);
	c->in.len -= len + 1;
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, EPROTO,
		               "clusterd said something that is not a JSON object; is it of another version?");
	}
	if (!strcmp(vmclus_text(o, "type"), "error")) {
		const char *why = vmclus_text(o, "error");
		int r = err_set(err, code_of(vmclus_text(o, "code")), "%s", *why ? why : "failed");

		json_decref(o);
		return r;
	}
	*ret = o;
	return 1;
}

int vmclus_recv(struct vmclus_conn *c, bool wait, json_t **ret, struct err *err)
{
	for (;;) {
		int r = take_line(c, ret, err);

		if (r)
			return r < 0 ? r : 0;
		void *p = c->in.len < LINE_MAX_BYTES ? buf_reserve(&c->in, 65536) : NULL;
		if (!p)
			return err_set(err, ENOMEM, "clusterd says too much");
		ssize_t n = recv(c->fd, p, 65536, wait ? 0 : MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -errno;
		if (n <= 0)
			return err_set(err, ECONNRESET,
			               "clusterd went away; whether the order was taken shows in vmclus status, "
			               "on any host");
		c->in.len += (size_t)n;
	}
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
	_cleanup_conn_ struct vmclus_conn c = { .fd = -1 };
	int r = vmclus_connect(&c, err);

	if (r < 0) {
		json_decref(order);
		return r;
	}
	r = vmclus_send(&c, order, err);
	while (!r) {
		_cleanup_json_ json_t *o = NULL;

		r = vmclus_recv(&c, true, &o, err);
		if (r == -EINTR) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		const char *type = vmclus_text(o, "type");
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

double vmclus_num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

const char *vmclus_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

bool vmclus_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

int vmclus_number(const char *what, const char *text, double min, double max, double *ret, struct err *err)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || *end || !(v >= min && v <= max))
		return err_set(err, EBADMSG, "%s: a number from %g to %g, not \"%s\"", what, min, max, text);
	*ret = v;
	return 0;
}

void vmclus_print_json(const json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
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
