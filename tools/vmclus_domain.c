/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus define, undefine, start, stop, move, abort: one domain. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

#define XML_MAX_BYTES (1u << 20) /* an order is at most 2 MiB, with quotes escaped */

static int read_xml(const char *file, char **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (strcmp(file, "-") != 0) {
		r = file_read(file, XML_MAX_BYTES, &text, &len);
	} else {
		struct buf b = { 0 };

		for (r = 0; !r && !feof(stdin) && !ferror(stdin);) {
			char piece[4096];
			size_t n = fread(piece, 1, sizeof(piece), stdin);

			buf_put(&b, piece, n);
			r = b.len > XML_MAX_BYTES ? -EFBIG : b.failed ? -ENOMEM : 0;
		}
		buf_put_u8(&b, 0);
		len = b.len - 1;
		text = (char *)b.data;
		if (!r && (b.failed || ferror(stdin)))
			r = -EIO;
	}
	if (r == -EFBIG)
		return err_set(err, r, "%s is larger than a definition may be (%u octets, 1 MiB)", file, XML_MAX_BYTES);
	if (r < 0)
		return err_sys(err, r, "%s", file);
	if (strlen(text) != len)
		return err_set(err, EINVAL, "%s is not text", file);
	*ret = steal_ptr(&text);
	return 0;
}

int vmclus_define(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	_cleanup_free_ char *xml = NULL;
	int r = read_xml(v->arg[0], &xml, err);

	if (r < 0)
		return r;
	json_t *order = json_pack("{s:s, s:s, s:s}", "op", "define", "xml", xml, "origin", v->arg[0]);
	if (!order)
		return err_set(err, EINVAL, "%s is not UTF-8", v->arg[0]);
	r = vmclus_order(order, NULL, NULL, NULL, &o, err);
	if (!r)
		printf("Domain '%s' defined from %s\n", field_text(o, "name"), v->arg[0]);
	return r;
}

int vmclus_undefine(struct cli *v, struct err *err)
{
	int r = vmclus_order(json_pack("{s:s, s:s}", "op", "undefine", "name", v->arg[0]), NULL, NULL, NULL, NULL, err);

	if (!r)
		printf("Domain '%s' undefined\n", v->arg[0]);
	return r;
}

int vmclus_dumpxml(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s, s:s}", "op", "dumpxml", "name", v->arg[0]), NULL, NULL, NULL, &o, err);

	if (!r)
		fputs(field_text(o, "xml"), stdout);
	return r;
}

/* Start and stop: option 0 is --no-wait, 1 --timeout. */
static int desire(struct cli *v, const char *op, const char *done, struct err *err)
{
	bool wait = !cli_opt(v, 0);
	json_t *order = json_pack("{s:s, s:s, s:b}", "op", op, "name", v->arg[0], "wait", (int)wait);
	int r = vmclus_timeout(v, 1, order, err);

	if (!r)
		r = vmclus_order(order, NULL, NULL, NULL, NULL, err);
	if (!r)
		printf("Domain '%s' %s\n", v->arg[0], wait ? done : "is to do so; vmclus status shows it");
	return r;
}

int vmclus_start(struct cli *v, struct err *err)
{
	return desire(v, "start", "started", err);
}

int vmclus_stop(struct cli *v, struct err *err)
{
	return desire(v, "stop", "stopped", err);
}

static int move_progress(void *arg, json_t *o, struct err *err)
{
	struct cli *v = arg;
	char sent[32], left[32], rate[32], bar[23];
	double done = field_num(o, "memory_processed");

	(void)err;
	if (strcmp(field_text(o, "type"), "progress") != 0)
		return 0;
	if (v->json) {
		cli_print_json(v, o);
		return 0;
	}
	if (!isatty(STDOUT_FILENO))
		return 0;
	printf("\r%s: %-9s round %.0f %s sent %s, remaining %s, %s/s\033[K", v->arg[0], field_text(o, "phase"),
	       field_num(o, "round"), cli_bar(bar, 20, done, done + field_num(o, "remaining_bytes")),
	       size_format((uint64_t)field_num(o, "sent_bytes"), sent, sizeof(sent)),
	       size_format((uint64_t)field_num(o, "remaining_bytes"), left, sizeof(left)),
	       size_format((uint64_t)field_num(o, "bandwidth_bps"), rate, sizeof(rate)));
	fflush(stdout);
	return 0;
}

int vmclus_move(struct cli *v, struct err *err)
{
	bool wait = !cli_opt(v, 0);
	_cleanup_json_ json_t *o = NULL;
	json_t *order = json_pack("{s:s, s:s, s:s, s:b}", "op", "move", "name", v->arg[0], "host", v->arg[1], "wait",
	                          (int)wait);
	char sent[32];
	int r = vmclus_order(order, NULL, move_progress, v, &o, err);

	if (!v->json && isatty(STDOUT_FILENO))
		printf("\r\033[K");
	if (r < 0)
		return r;
	const json_t *rep = json_object_get(o, "report");
	if (v->json) {
		_cleanup_json_ json_t *bare = rep ? NULL
		                                  : json_pack("{s:s, s:s, s:s}", "status",
		                                              wait ? "completed" : "ordered", "domain", v->arg[0], "to",
		                                              v->arg[1]);
		cli_print_json(v, rep ?: bare);
	} else if (rep) {
		printf("%s moved from %s to %s in %.0f ms (downtime %.1f ms), %s sent\n", v->arg[0],
		       field_text(rep, "from"), v->arg[1], field_num(rep, "total_ms"), field_num(rep, "downtime_ms"),
		       size_format((uint64_t)field_num(rep, "sent_bytes"), sent, sizeof(sent)));
	} else {
		printf("%s %s %s\n", v->arg[0], wait ? "moved to" : "is to move to", v->arg[1]);
	}
	return 0;
}

int vmclus_abort(struct cli *v, struct err *err)
{
	int r = vmclus_order(json_pack("{s:s, s:s}", "op", "abort", "name", v->arg[0]), NULL, NULL, NULL, NULL, err);

	if (!r)
		printf("The move of domain '%s' is called off: it runs on where it is\n", v->arg[0]);
	return r;
}
