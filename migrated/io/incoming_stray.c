/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer asks that no session answers: Hello, Ping, and the fate of a session that nobody here holds. Loop thread. */
#include "config.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include "migrated/io/incoming_int.h"
#include "migrated/io/knock.h"
#include "migrated/io/recorder.h"
#include "migrated/io/standing.h"
#include "hypervisor/api/hvproc.h"

#define STRAYS_MAX 16u /* hvdoms asked about sessions that nobody knows */

void incoming_answer_hello(struct migrated *d, const struct peer_id *from, uint64_t session)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Hello h;

	link_hello(d, &h, true);
	env.hello = &h;
	link_send(d->router, from, session, MIG_MSG_HELLO, &env);
}

void incoming_answer_ping(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *ping)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Pong p = HOSPES__MIG__PONG__INIT;

	p.sent_ns = ping->ping->sent_ns;
	p.here_ns = now_ns();
	env.pong = &p;
	link_send(d->router, from, ping->session, MIG_MSG_PONG, &env);
}

static void answer_fate(struct migrated *d, const struct peer_id *from, uint64_t session, enum mig_fate fate,
                        const char *text)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Resolved r = HOSPES__MIG__RESOLVED__INIT;

	r.fate = fate;
	r.text = (char *)text;
	env.resolved = &r;
	link_send(d->router, from, session, MIG_MSG_RESOLVED, &env);
}

/* Resolve of a session that nobody holds and no record knows: its hvdom is asked, the answer waits for that. */
struct stray {
	struct stray *next;
	struct migrated *d;
	struct peer_id from;
	uint64_t session, generation;
	char name[64], uuid[37];
	struct knock *knock;
};

static void stray_free(struct stray *s)
{
	for (struct stray **p = &s->d->strays; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	knock_drop(s->knock);
	free(s);
}

/* Never heard of, and nothing of it here: GONE, once that is durable. */
static void never_here(const struct stray *s)
{
	struct migrated *d = s->d;
	unsigned n = 0;

	for (const struct incoming *k = d->ins; k; k = k->next)
		n++;
	if (n >= INCOMING_SESSIONS_MAX || !recorder_gone_room(d->recorder, s->from.name, (uint64_t)time(NULL)))
		return; /* each costs a record: it asks again */
	struct incoming *in = incoming_new(d, s->session, s->name, s->uuid);
	if (!in)
		return;
	in->from = s->from;
	snprintf(in->text, sizeof(in->text), "%s knows nothing of this migration (it may have restarted)",
	         d->node.name);
	mig_target_init_recover(&in->core, s->generation, false, MIG_REC_GONE, false, false);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_START });
}

static void stray_answered(void *arg, int status, const struct hv_info *info)
{
	struct stray *s = arg;
	struct journal_rec rec;

	s->knock = NULL;
	if (status == 0 && !strncasecmp(info->uuid, s->uuid, 36) && info->generation >= s->generation &&
	    (info->state == HV_DOM_RUNNING || info->state == HV_DOM_PAUSED || info->state == HV_DOM_BOOTING ||
	     info->state == HV_DOM_PARKED)) /* it may run again: nobody else may have that generation */
		answer_fate(s->d, &s->from, s->session, MIG_FATE_RUNNING, "");
	else if (status == -ETIMEDOUT || (status < 0 && hvproc_alive(s->name))) /* mute is not gone */
		answer_fate(s->d, &s->from, s->session, MIG_FATE_BUSY, "");
	else if (standing_of(s->d, &s->from, s->session, &rec) == STANDING_NEW) /* still */
		never_here(s);
	stray_free(s);
}

static void stray_new(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      uint64_t generation)
{
	unsigned n = 0;

	for (const struct stray *s = d->strays; s; s = s->next, n++)
		if (s->session == env->session)
			return; /* asked already */
	struct stray *s = n < STRAYS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return; /* it asks again */
	*s = (struct stray){ .d = d, .from = *from, .session = env->session, .generation = generation };
	snprintf(s->name, sizeof(s->name), "%s", env->resolve->name);
	snprintf(s->uuid, sizeof(s->uuid), "%s", env->resolve->uuid);
	s->next = d->strays;
	d->strays = s;
	s->knock = knock(d->loop, s->name, KNOCK_NS, stray_answered, s);
	if (!s->knock)
		stray_free(s);
}

void incoming_unknown(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg, const struct journal_rec *rec)
{
	if (rec) {
		answer_fate(d, from, env->session,
		            rec->rec == MIG_REC_TAKEN  ? MIG_FATE_RUNNING
		            : rec->rec == MIG_REC_GONE ? MIG_FATE_GONE
		                                       : MIG_FATE_BUSY,
		            "");
		return;
	}
	if (msg->kind == MIG_MSG_ABORT) {
		answer_fate(d, from, env->session, MIG_FATE_GONE,
		            ""); /* nothing to let go; no generation was promised */
		return;
	}
	if (msg->kind ==
	    MIG_MSG_RESOLVE) /* a Go without us: the source will ask with Resolve, which names the domain */
		stray_new(d, from, env, msg->generation);
}

void incoming_strays_free(struct migrated *d)
{
	while (d->strays)
		stray_free(d->strays);
}
