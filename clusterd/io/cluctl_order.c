/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders that change the cluster: each checks what it can, makes one command, and says what is waited for after its commit. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/after.h"
#include "clusterd/io/cluctl_int.h"
#include "clusterd/io/cluwire.h"
#include "clusterd/io/domspec.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hvproc.h"

#define REPORT_NS  (1500 * NS_PER_MS) /* how long a move that is over waits for migrated's last word */
#define NO_ROOM_NS (4 * NS_PER_S)     /* a start that no host takes for so long is told so */

struct clu_cmd *ctl_command(struct client *c, enum clu_cmd_kind kind, const char *uuid)
{
	struct clu_cmd *cmd = calloc(1, sizeof(*cmd));

	if (!cmd) {
		ctl_fail(c, ENOMEM, "out of memory");
		return NULL;
	}
	cmd->kind = kind;
	if (uuid) {
		memcpy(cmd->uuid, uuid, CLU_UUID_MAX);
		memcpy(c->o.uuid, uuid, CLU_UUID_MAX);
	}
	c->o.cmd = cmd;
	ctl_commit(c);
	return cmd;
}

void ctl_wait_time(struct client *c)
{
	double s = json_number_value(json_object_get(c->o.req, "timeout_s"));

	c->o.wait_until_ns = s > 0 && s < 1e6 ? boot_ns() + (uint64_t)(s * 1e9) : 0;
}

bool ctl_too_late(const struct client *c)
{
	return c->o.wait_until_ns && boot_ns() > c->o.wait_until_ns;
}

/* Is what the state says of @d certain? */
static bool certain(struct client *c, const struct clu_dom *d)
{
	return nodeio_acts(c->ctl->n) && clu_node_committed(nodeio_node(c->ctl->n), d->rev);
}

/* define, undefine ----------------------------------------------------------------------------------------------------- */

/* What its lease says: a domain that was run by hand brings its generation along, one that runs elsewhere is left alone. */
static int look_at_lease(struct client *c, const struct dom_config *cfg, uint64_t *ret_generation, struct err *err)
{
	const struct probe *p = c->o.probe;
	const struct leasepeek *l = &p->lease;

	if (p->silent) { /* the first start finds the generation, then */
		ctl_warn(c, "what its lease says is not known: %s", p->text);
		return 0;
	}
	if (p->status < 0)
		return err_set(err, p->status, "%s", p->text);
	*ret_generation = l->generation;
	if (!clu_dom_of(ctl_state(c), cfg->uuid) && l->there && l->running)
		ctl_warn(c,
		         "its lease says that it runs on %s in generation %" PRIu64
		         ": shut it down there (vmctl shutdown %s), or the cluster "
		         "cannot start it",
		         l->owner, l->generation, cfg->name);
	return 0;
}

/* Hosts may get what they lack, so this is no reason to refuse. */
static void warn_engine(struct client *c, const struct dom_config *cfg, uint32_t engine)
{
	const struct clu_state *s = ctl_state(c);
	uint32_t engines = 0;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		engines |= s->host[i].node ? s->host[i].cap.engines : 0;
	if (!(engines & engine))
		ctl_warn(c, "no host of the cluster has engine %s, which %s needs (hvdom --engines says why)",
		         dom_engine(cfg), cfg->name);
}

static void define_with(struct client *c, const struct dom_config *cfg)
{
	struct err err = { 0 };
	struct clu_spec spec;
	uint64_t generation = 0;
	char *warning[8];
	size_t n;

	if (domspec_of(cfg, &spec, &err) < 0 || look_at_lease(c, cfg, &generation, &err) < 0) {
		ctl_fail(c, err.code, "%s: %s", cfg->name, err.text);
		return;
	}
	if (!clu_dom_of(ctl_state(c), cfg->uuid) && hvproc_alive(cfg->name)) {
		ctl_fail(c, EBUSY,
		         "a domain %s runs on this host and is not the cluster's: vmctl shutdown %s, then define it",
		         cfg->name, cfg->name);
		return;
	}
	warn_engine(c, cfg, spec.engine);
	for (size_t i = 0; i < cfg->n_notes; i++)
		ctl_warn(c, "%s", cfg->note[i]);
	n = domspec_warnings(cfg, warning);
	for (size_t i = 0; i < n; i++) {
		ctl_warn(c, "%s", warning[i]);
		free(warning[i]);
	}
	struct clu_cmd *cmd = ctl_command(c, CLU_CMD_DEFINE, cfg->uuid);
	if (!cmd)
		return;
	memcpy(cmd->name, cfg->name, sizeof(cmd->name));
	cmd->spec = spec;
	cmd->generation = generation;
}

static bool defined(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);
	json_t *o = json_pack("{s:s, s:s, s:s}", "type", "ok", "uuid", c->o.uuid, "name", d ? d->name : "");

	(void)json_object_set_new(o, "warnings", c->o.warnings ? json_incref(c->o.warnings) : json_array());
	ctl_over(c, o);
	return true;
}

/* Its storage has been asked: now it can be said. */
static bool lease_known(struct client *c)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (!c->o.probe->answered)
		return false;
	c->o.go_on = defined;
	if (dom_config_parse(c->o.xml, c->o.xml_len, "definition", &cfg, &err) < 0)
		ctl_fail(c, EINVAL, "%s", err.text);
	else
		define_with(c, cfg);
	return false;
}

static void on_probed(void *arg)
{
	cluctl_changed(arg);
}

void ctl_define(struct client *c)
{
	const char *xml = ctl_text(c, "xml"), *origin = ctl_text(c, "origin");
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	const struct clu_dom *old;
	struct err err = { 0 };
	int r;

	if (!xml) {
		ctl_fail(c, EINVAL, "\"xml\" is missing");
		return;
	}
	r = dom_config_parse(xml, strlen(xml), origin ? origin : "definition", &cfg, &err);
	old = r == 0 ? clu_dom_named(ctl_state(c), cfg->name) : NULL;
	if (r == 0) /* with uuid and addresses in it: every host must read the same */
		r = dom_config_settle(cfg, old ? old->uuid : NULL, &c->o.xml, &err);
	if (r == 0)
		c->o.xml_len = strlen(c->o.xml);
	if (r == 0 && c->o.xml_len > CLUWIRE_XML_MAX)
		r = err_set(&err, E2BIG, "%s: a domain of a cluster has at most %u KiB of XML", cfg->name,
		            CLUWIRE_XML_MAX >> 10);
	if (r < 0) {
		ctl_fail(c, r, "%s", err.text);
		return;
	}
	c->o.probe = calloc(1, sizeof(*c->o.probe));
	if (!c->o.probe || !c->ctl->local) {
		ctl_fail(c, ENOMEM, "out of memory");
		return;
	}
	c->o.go_on = lease_known;
	probe_ask(c->o.probe, local_helpers(c->ctl->local), PROBE_LEASE, WORK_URGENT, cfg->name, c->o.xml, c->o.xml_len,
	          on_probed, c->ctl);
}

void ctl_undefine(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);

	if (d)
		(void)ctl_command(c, CLU_CMD_UNDEFINE, d->uuid);
}

/* As it was defined: with the uuid and the addresses that each host sees. */
void ctl_xml(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);
	const char *xml;
	size_t len;

	if (!d)
		return;
	xml = nodeio_text(c->ctl->n, (uint32_t)(d - ctl_state(c)->dom), &len);
	if (!xml)
		ctl_fail(c, ENODATA, "this node does not have the definition of %s yet: ask again, or another host",
		         d->name);
	else
		ctl_over(c, json_pack("{s:s, s:s, s:s%}", "type", "ok", "name", d->name, "xml", xml, len));
}

/* start, stop ---------------------------------------------------------------------------------------------------------- */

/* Every host that may take it tried, the best one, @node, too? Then say what each said. */
static bool failed_everywhere(struct client *c, const struct clu_dom *d, uint32_t node)
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_host *best = clu_host_of(s, node);
	char text[ERR_TEXT_MAX] = "";
	size_t n = 0;

	if (!best || !clu_fails(s, d, clu_slot(s, best), nodeio_load(c->ctl->n)->time_ns, NULL))
		return false;
	for (uint32_t i = 0; i < CLU_FAILS_MAX && d->fail[i].node && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s: %s", i ? "; " : "",
		                      clu_host_name(ctl_state(c), d->fail[i].node), d->fail[i].text);
	ctl_fail(c, EIO, "no host that may run %s could start it; it is tried on, less and less often: %s", d->name,
	         text);
	return true;
}

/* Why it does not start, once that is clear; false: it may yet. */
static bool no_start(struct client *c, const struct clu_dom *d)
{
	const struct clu_state *s = ctl_state(c);
	char why[CLU_TEXT_MAX] = "", lacks[2 * CLU_TEXT_MAX] = "";
	uint32_t node;

	if (d->phase == CLU_PHASE_FAILED) {
		ctl_fail(c, EIO, "%s failed %u times and is given up: %s", d->name, d->failures, d->text);
		return true;
	}
	if (d->phase != CLU_PHASE_STOPPED || d->desired != CLU_DESIRED_RUNNING || boot_ns() < c->o.seen_ns + NO_ROOM_NS)
		return false;
	if (ctl_disarm_text(c, lacks, sizeof(lacks))) {
		ctl_fail(c, EAGAIN, "%s is to run, but %s; it starts by itself then, or after vmclus arm", d->name,
		         lacks);
		return true;
	}
	if (clu_after_waits(s, nodeio_load(c->ctl->n), d, nodeio_load(c->ctl->n)->time_ns, NULL, why)) {
		ctl_fail(c, EAGAIN, "%s is to run, and %s; it starts by itself then", d->name, why);
		return true;
	}
	node = clu_place(s, nodeio_load(c->ctl->n), d, false, why);
	if (node && d->avoid && failed_everywhere(c, d, node))
		return true;
	if (node)
		return false;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node && !lacks[0]; i++)
		if (clu_bit(d->unreachable, i) && nodeio_reach_why(c->ctl->n, d, &s->host[i]))
			snprintf(lacks, sizeof(lacks), "; %s: %.190s", s->host[i].name,
			         nodeio_reach_why(c->ctl->n, d, &s->host[i]));
	ctl_fail(c, ENOSPC,
	         "%s is to run, but no host can take it now: %s%s (vmclus explain %s); it starts when one can", d->name,
	         why, lacks, d->name);
	return true;
}

/* The domain is to be as @desired; @go_on waits for that, if the client wants to. */
static void desire(struct client *c, const struct clu_dom *d, enum clu_desired desired, bool (*go_on)(struct client *c))
{
	struct clu_cmd *cmd = ctl_command(c, CLU_CMD_DESIRE, d->uuid);

	if (!cmd)
		return;
	cmd->desired = desired;
	ctl_wait_time(c);
	if (ctl_flag(c, "wait", true))
		c->o.go_on = go_on;
}

static bool started(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);

	if (!d) {
		ctl_fail(c, ENOENT, "it was undefined meanwhile");
		return true;
	}
	if (!c->o.seen_ns)
		c->o.seen_ns = boot_ns();
	if (!certain(c, d)) {
		if (ctl_too_late(c))
			ctl_fail(c, ETIMEDOUT, "%s is to run; whether it does is not known yet", d->name);
		return !c->s.busy;
	}
	if (d->desired != CLU_DESIRED_RUNNING) {
		ctl_fail(c, ECANCELED, "somebody ordered %s to be stopped meanwhile", d->name);
		return true;
	}
	if (d->phase == CLU_PHASE_RUNNING || d->phase == CLU_PHASE_MIGRATING)
		return true;
	if (no_start(c, d))
		return true;
	if (ctl_too_late(c))
		ctl_fail(c, ETIMEDOUT, "%s is %s%s%s; it is tried on", d->name, clu_phase_name(d->phase),
		         d->text[0] ? ": " : "", d->text);
	return !c->s.busy;
}

/* N+1: would there be room for the loss of one host? False: refused. */
static bool admitted(struct client *c, const struct clu_dom *d)
{
	const struct clu_state *s = ctl_state(c);
	char why[CLU_TEXT_MAX] = "";
	uint32_t node;

	if (s->policy.admission == CLU_ADMIT_OFF || d->desired == CLU_DESIRED_RUNNING)
		return true;
	node = clu_admit(s, nodeio_load(c->ctl->n), d, why);
	if (!node)
		return true;
	if (s->policy.admission == CLU_ADMIT_REFUSE) {
		ctl_fail(c, ENOSPC,
		         "with %s running the loss of %s would leave a domain without room: %s (policy admission)",
		         d->name, clu_host_name(ctl_state(c), node), why);
		return false;
	}
	ctl_warn(c, "with %s running the loss of %s would leave a domain without room: %s", d->name,
	         clu_host_name(ctl_state(c), node), why);
	return true;
}

void ctl_start(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);

	if (d && admitted(c, d))
		desire(c, d, CLU_DESIRED_RUNNING, started);
}

static bool stopped(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);

	if (!d)
		return true;
	if (certain(c, d)) {
		if (d->phase == CLU_PHASE_STOPPED || d->phase == CLU_PHASE_FAILED)
			return true;
		if (d->desired != CLU_DESIRED_STOPPED) {
			ctl_fail(c, ECANCELED, "somebody ordered %s to run meanwhile", d->name);
			return true;
		}
	}
	if (ctl_too_late(c))
		ctl_fail(c, ETIMEDOUT, "%s is %s still; it is being stopped on", d->name, clu_phase_name(d->phase));
	return !c->s.busy;
}

void ctl_stop(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);

	if (d)
		desire(c, d, CLU_DESIRED_STOPPED, stopped);
}

/* move ----------------------------------------------------------------------------------------------------------------- */

static bool moved(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);

	if (!d) {
		ctl_fail(c, ENOENT, "it was undefined meanwhile");
		return true;
	}
	if (!certain(c, d) || d->phase == CLU_PHASE_MIGRATING || d->phase == CLU_PHASE_RESOLVING)
		return false;
	if (d->phase == CLU_PHASE_RUNNING && d->host == c->o.node) {
		if (!c->o.seen_ns)
			c->o.seen_ns = boot_ns();
		return c->o.report || boot_ns() > c->o.seen_ns + REPORT_NS;
	}
	bool called_off = c->o.report &&
	                  !strcmp(json_string_value(json_object_get(c->o.report, "status")) ?: "", "cancelled");
	ctl_fail(c, called_off ? ECANCELED : EIO, "%s was not moved to %s: %s", d->name,
	         clu_host_name(ctl_state(c), c->o.node),
	         d->text[0]                      ? d->text
	         : d->phase == CLU_PHASE_RUNNING ? "it runs where it was"
	                                         : clu_phase_name(d->phase));
	return true;
}

void ctl_move(struct client *c)
{
	struct clu_dom *d = ctl_dom(c);
	struct clu_host *h = d ? ctl_host(c) : NULL;
	struct clu_verdict v;
	struct clu_cmd *cmd;

	if (!h)
		return;
	if (d->phase == CLU_PHASE_RUNNING && d->host != h->node) {
		clu_judge(ctl_state(c), nodeio_load(c->ctl->n), d, clu_slot(ctl_state(c), h), &v);
		nodeio_verdict_text(c->ctl->n, d, h, &v);
		if (v.why != CLU_WHY_OK && v.why != CLU_WHY_FAILED_HERE) {
			ctl_fail(c, EPERM, "%s cannot take %s: %s", h->name, d->name, v.text);
			return;
		}
	}
	c->o.node = h->node;
	cmd = ctl_command(c, CLU_CMD_MOVE, d->uuid);
	if (!cmd)
		return;
	cmd->target = h->node;
	if (ctl_flag(c, "wait", true))
		c->o.go_on = moved;
}

/* rules, fence, policy ------------------------------------------------------------------------------------------------- */

static enum clu_rule_kind kind_of(const char *text)
{
	for (int k = CLU_RULE_TOGETHER; text && k <= CLU_RULE_AFTER; k++)
		if (!strcmp(text, clu_rule_name((enum clu_rule_kind)k)))
			return (enum clu_rule_kind)k;
	return 0;
}

/* The id of a new rule is the index of its command: the highest of those that look like it. */
static bool rule_added(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	uint32_t id = 0;

	for (uint32_t i = 0; i < CLU_RULES_MAX; i++)
		if (s->rule[i].id > id)
			id = s->rule[i].id;
	json_t *o = json_pack("{s:s, s:i}", "type", "ok", "id", (int)id);
	if (c->o.warnings)
		(void)json_object_set(o, "warnings", c->o.warnings);
	ctl_over(c, o);
	return true;
}

void ctl_rule_add(struct client *c)
{
	json_t *members = json_object_get(c->o.req, "members"), *delay = json_object_get(c->o.req, "delay_s"), *v;
	struct clu_rule rule = { .kind = kind_of(ctl_text(c, "kind")),
		                 .soft = ctl_flag(c, "soft", false),
		                 .never = ctl_flag(c, "never", false),
		                 .healthy = ctl_flag(c, "healthy", false) };
	char why[CLU_TEXT_MAX] = "";
	size_t i;

	if (!rule.kind) {
		ctl_fail(c, EINVAL, "\"kind\" is together, apart, hosts, conflict or after");
		return;
	}
	if (delay && (!json_is_number(delay) || !(json_number_value(delay) >= 0) ||
	              json_number_value(delay) > CLU_DELAY_MAX_NS / 1e9)) {
		ctl_fail(c, EINVAL, "\"delay_s\" is a number of seconds, at most a day");
		return;
	}
	rule.delay_ns = (uint64_t)(json_number_value(delay) * 1e9);
	if (!json_is_array(members) || json_array_size(members) < 2 || json_array_size(members) > CLU_MEMBERS_MAX) {
		ctl_fail(c, EINVAL, "\"members\" is a list of 2 to %u names", CLU_MEMBERS_MAX);
		return;
	}
	json_array_foreach(members, i, v)
	{
		const char *s = json_string_value(v);

		if (!s || !*s || strlen(s) >= CLU_NAME_MAX) {
			ctl_fail(c, EINVAL, "a member is a name of at most %u letters", CLU_NAME_MAX - 1);
			return;
		}
		snprintf(rule.member[rule.n++], CLU_NAME_MAX, "%s", s);
	}
	int r = clu_rule_check(ctl_state(c), &rule, why);
	if (r < 0) {
		ctl_fail(c, r, "%s", why);
		return;
	}
	if (why[0])
		ctl_warn(c, "%s", why);
	struct clu_cmd *cmd = ctl_command(c, CLU_CMD_RULE_ADD, NULL);
	if (!cmd)
		return;
	cmd->rule = rule;
	c->o.go_on = rule_added;
}

void ctl_rule_remove(struct client *c)
{
	json_t *id = json_object_get(c->o.req, "id");
	struct clu_cmd *cmd;

	if (!json_is_integer(id) || json_integer_value(id) < 1 || json_integer_value(id) > UINT32_MAX) {
		ctl_fail(c, EINVAL, "\"id\" is the number of a rule (vmclus rules list)");
		return;
	}
	cmd = ctl_command(c, CLU_CMD_RULE_REMOVE, NULL);
	if (cmd)
		cmd->rule.id = (uint32_t)json_integer_value(id);
}

void ctl_fence_confirm(struct client *c)
{
	struct clu_host *h = ctl_host(c);
	struct clu_cmd *cmd;

	if (!h)
		return;
	if (h->state == CLU_HOST_ONLINE) {
		ctl_fail(c, EBUSY, "%s is online: only the end of a host that is lost can be confirmed", h->name);
		return;
	}
	cmd = ctl_command(c, CLU_CMD_HOST_SAFE, NULL);
	if (!cmd)
		return;
	cmd->host = h->node;
	cmd->op_id = h->lost_id;
	cmd->safe_by = CLU_SAFE_PERSON;
}

static bool policy_told(struct client *c)
{
	json_t *o = json_pack("{s:s, s:o}", "type", "policy", "policy", ctl_policy_json(&ctl_state(c)->policy));

	if (c->o.warnings)
		(void)json_object_set(o, "warnings", c->o.warnings);
	ctl_over(c, o);
	return true;
}

void ctl_policy(struct client *c)
{
	json_t *set = json_object_get(c->o.req, "set");
	struct clu_policy p = ctl_state(c)->policy;
	struct err err = { 0 };
	struct clu_cmd *cmd;

	c->o.go_on = policy_told;
	if (!set || json_is_null(set))
		return;
	if (ctl_policy_set(&p, set, &err) < 0) {
		ctl_fail(c, EINVAL, "%s", err.text);
		return;
	}
	cmd = ctl_command(c, CLU_CMD_POLICY, NULL);
	if (cmd)
		cmd->policy = p;
	if (cmd && p.lease_ns != ctl_state(c)->policy.lease_ns)
		ctl_warn(c, "lease_s counts for a host when its clusterd starts the next time");
}
