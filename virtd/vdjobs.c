/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs, for events: migrated tells of every push from this host, whoever ordered it (ctl.h, "watch"). It is read by the
 * thread that looks at all domains, after its look: a domain that was seen to be gone has a result, or gets one soon.
 */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "virtd/vdevent.h"

#define READ_MAX 1024u /* lines, or a migrated that never stops would hold the look up */
#define WAIT_NS  (3 * NS_PER_S)

static const struct jsonconn_peer watch_peer = {
	.daemon = "migrated",
	.start = "systemctl start migrated",
	.expected = "JSON",
	.lost = "it is asked again",
	.line_bytes_max = 1u << 20,
	.answer_s = 1,
};

void vd_jobs_init(struct vd_jobs *j)
{
	*j = (struct vd_jobs){ .conn = { .fd = -1 } };
}

void vd_jobs_close(struct vd_jobs *j)
{
	jsonconn_close(&j->conn);
	j->n = 0;
}

static void mark(struct vd_jobs *j, const char *name, bool under_way)
{
	size_t i = 0;

	while (i < j->n && strcmp(j->under_way[i], name))
		i++;
	if (i == j->n && under_way && j->n < VD_JOBS_MAX)
		snprintf(j->under_way[j->n++], HV_NAME_MAX, "%s", name);
	else if (i < j->n && !under_way)
		memmove(j->under_way[i], j->under_way[--j->n], HV_NAME_MAX);
}

static void add(struct vd_jobs *j, struct vd_snapshot *s, const json_t *o)
{
	const char *name = field_text(o, "domain"), *type = field_text(o, "type");
	bool over = !strcmp(type, "result");
	struct vd_job *grown;

	if (!name_is_valid(name) || (!over && strcmp(type, "progress")))
		return;
	mark(j, name, !over);
	grown = realloc(s->job, (s->n_jobs + 1) * sizeof(*grown));
	if (!grown)
		return;
	s->job = grown;
	grown += s->n_jobs++;
	*grown = (struct vd_job){ .iteration = (uint32_t)field_num(o, over ? "rounds" : "memory_iteration"),
		                  .over = over };
	snprintf(grown->name, sizeof(grown->name), "%s", name);
	grown->moved = over && !strcmp(field_text(o, "status"), "completed");
	if (over)
		vdh_put_result(&grown->params, o);
}

/* A push is under way, and its domain was not there any more. One that is @late is waited for no longer. */
static bool awaits_result(struct vd_jobs *j, const struct vd_snapshot *s, bool late)
{
	for (size_t i = 0; i < j->n; i++) {
		bool there = false;

		for (size_t k = 0; k < s->n && !there; k++)
			there = !strcmp(s->dom[k].name, j->under_way[i]) && s->dom[k].id != -1;
		if (!there && !late)
			return true;
		if (!there)
			mark(j, j->under_way[i--], false);
	}
	return false;
}

void vd_jobs_read(struct vd_jobs *j, struct vd_snapshot *s)
{
	uint64_t until = now_ns() + WAIT_NS;

	if (j->conn.fd < 0 && jsonconn_order(&j->conn, &watch_peer, json_pack("{s:s}", "op", "watch"), NULL) < 0) {
		vd_jobs_close(j);
		return;
	}
	for (unsigned lines = 0; lines < READ_MAX;) {
		struct pollfd p = { .fd = j->conn.fd, .events = POLLIN };
		_cleanup_json_ json_t *o = NULL;
		struct err err = { 0 };
		int r = jsonconn_recv(&j->conn, false, &o, &err);

		if (r == -EAGAIN) {
			if (!awaits_result(j, s, now_ns() > until))
				return;
			(void)poll(&p, 1, 50);
		} else if (r == -EPROTO) {
			lines++;
		} else if (r < 0) {
			vd_jobs_close(j);
			return;
		} else {
			lines++;
			add(j, s, o);
		}
	}
}
