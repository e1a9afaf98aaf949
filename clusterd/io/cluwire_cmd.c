/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands as octets: struct clu_cmd to and from proto/cluster.proto's Command, with all its limits. */
#include <config.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/cluwire_int.h"
#include "common/util.h"

#define BITS_N 4u

/* The words of a table that are not empty, as pointers into it. */
static size_t list_words(char *table, size_t n, size_t width, char **ret)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (table[i * width])
			ret[used++] = table + i * width;
	return used;
}

static void policy_to_pb(const struct clu_policy *p, Hospes__Clu__Policy *pb)
{
	hospes__clu__policy__init(pb);
#define TO_PB(number, since, kind, name, ...) pb->name = p->name;
	CLU_POLICY_FIELDS(TO_PB)
}

static void policy_of_pb(const Hospes__Clu__Policy *pb, struct clu_policy *p)
{
#define OF_PB(number, since, kind, name, ...) p->name = (__typeof__(p->name))pb->name;
	CLU_POLICY_FIELDS(OF_PB)
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
		if (f->since > 1 && !clu_policy_get(p, f)) /* of an older node */
			clu_policy_set(p, f, f->otherwise);
}

static void scalars_to_pb(const struct clu_cmd *c, Hospes__Clu__Command *pb)
{
	pb->kind = c->kind;
	pb->request = c->request;
	pb->time_ns = c->time_ns;
	pb->uuid = (char *)(uintptr_t)c->uuid;
	pb->host = c->host;
	pb->target = c->target;
	pb->rev = c->rev;
	pb->op_id = c->op_id;
	pb->generation = c->generation;
	pb->result = c->result;
	pb->seen = c->seen;
	pb->desired = c->desired;
	pb->safe_by = c->safe_by;
	pb->on = c->on;
	pb->name = (char *)(uintptr_t)c->name;
	pb->text = (char *)(uintptr_t)c->text;
	pb->boot = c->boot;
	pb->lease_ns = c->lease_ns;
	pb->self_fencing = c->self_fencing;
	pb->clock_stops = c->clock_stops;
	pb->leaving = c->leaving;
}

static void spec_to_pb(struct clu_spec *s, Hospes__Clu__Spec *pb, char **bridges)
{
	hospes__clu__spec__init(pb);
	pb->mem_bytes = s->mem_bytes;
	pb->vcpus = s->vcpus;
	pb->engine = s->engine;
	pb->priority = s->priority;
	pb->order = s->order;
	pb->restart_max = s->restart_max;
	pb->ha = s->ha;
	pb->type = s->type;
	pb->n_bridges = list_words(s->bridge[0], CLU_BRIDGES_MAX, CLU_WORD_MAX, bridges);
	pb->bridges = bridges;
}

static void cap_to_pb(struct clu_capacity *c, Hospes__Clu__Capacity *pb, char **bridges, char **labels)
{
	hospes__clu__capacity__init(pb);
	pb->mem_bytes = c->mem_bytes;
	pb->cpu_milli = c->cpu_milli;
	pb->engines = c->engines;
	pb->n_cpu_bits = BITS_N;
	pb->cpu_bits = c->cpu_bits;
	pb->n_bridges = list_words(c->bridge[0], CLU_BRIDGES_MAX, CLU_WORD_MAX, bridges);
	pb->bridges = bridges;
	pb->n_labels = list_words(c->label[0], CLU_LABELS_MAX, CLU_WORD_MAX, labels);
	pb->labels = labels;
}

static void rule_to_pb(struct clu_rule *r, Hospes__Clu__Rule *pb, char **members)
{
	hospes__clu__rule__init(pb);
	pb->id = r->id;
	pb->kind = r->kind;
	pb->soft = r->soft;
	pb->never = r->never;
	for (pb->n_members = 0; pb->n_members < r->n && pb->n_members < CLU_MEMBERS_MAX; pb->n_members++)
		members[pb->n_members] = r->member[pb->n_members];
	pb->members = members;
}

static int put_inventory(const struct clu_cmd *c, Hospes__Clu__Command *pb, Hospes__Clu__Inventory **ret_inv)
{
	Hospes__Clu__Inventory *inv;

	if (!c->n_inventory)
		return 0;
	if (c->n_inventory > CLU_INVENTORY_MAX)
		return -E2BIG;
	inv = calloc(c->n_inventory, sizeof(*inv));
	pb->inventory = calloc(c->n_inventory, sizeof(pb->inventory[0]));
	*ret_inv = inv;
	if (!inv || !pb->inventory)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_inventory; i++) {
		hospes__clu__inventory__init(&inv[i]);
		inv[i].uuid = (char *)(uintptr_t)c->inventory[i].uuid;
		inv[i].generation = c->inventory[i].generation;
		pb->inventory[i] = &inv[i];
	}
	pb->n_inventory = c->n_inventory;
	return 0;
}

int cluwire_pack_cmd(Hospes__Clu__Envelope *env, const struct clu_cmd *cmd, const char *cluster, uint32_t node,
                     const char *xml, size_t xml_len, struct buf *out)
{
	Hospes__Clu__Command pb = HOSPES__CLU__COMMAND__INIT;
	Hospes__Clu__Spec spec;
	Hospes__Clu__Capacity cap;
	Hospes__Clu__Rule rule;
	Hospes__Clu__Policy policy;
	_cleanup_free_ Hospes__Clu__Inventory *inv = NULL;
	struct clu_cmd c = *cmd; /* protobuf wants pointers that are not const */
	char *bridges[CLU_BRIDGES_MAX], *labels[CLU_LABELS_MAX], *members[CLU_MEMBERS_MAX];
	int r = 0;

	scalars_to_pb(&c, &pb);
	if (c.kind == CLU_CMD_DEFINE) {
		spec_to_pb(&c.spec, &spec, bridges);
		pb.spec = &spec;
		pb.xml = (ProtobufCBinaryData){ .len = xml ? xml_len : 0, .data = (uint8_t *)(uintptr_t)xml };
	} else if (c.kind == CLU_CMD_HOST_UP) {
		cap_to_pb(&c.cap, &cap, bridges, labels);
		pb.cap = &cap;
		r = put_inventory(&c, &pb, &inv);
	} else if (c.kind == CLU_CMD_RULE_ADD || c.kind == CLU_CMD_RULE_REMOVE) {
		rule_to_pb(&c.rule, &rule, members);
		pb.rule = &rule;
	} else if (c.kind == CLU_CMD_POLICY) {
		policy_to_pb(&c.policy, &policy);
		pb.policy = &policy;
	}
	env->body_case = HOSPES__CLU__ENVELOPE__BODY_COMMAND;
	env->command = &pb;
	if (r == 0)
		r = cluwire_pack_env(env, cluster, node, out);
	free(pb.inventory);
	return r;
}

/* Reading -------------------------------------------------------------------------------------------------------------- */

static int take_text(char *dst, size_t cap, const char *src, const char *what, struct err *err)
{
	if (!src)
		src = "";
	if (strlen(src) >= cap)
		return err_set(err, EPROTO, "command: %s of %zu octets", what, strlen(src));
	memcpy(dst, src, strlen(src) + 1);
	text_tidy(dst);
	return 0;
}

static int take_words(char *table, size_t n, size_t width, char *const *src, size_t n_src, const char *what,
                      struct err *err)
{
	int r = 0;

	if (n_src > n)
		return err_set(err, EPROTO, "command: %zu %ss", n_src, what);
	for (size_t i = 0; r == 0 && i < n_src; i++)
		r = take_text(table + i * width, width, src[i], what, err);
	return r;
}

static int take_uuid(char dst[CLU_UUID_MAX], const char *src, bool may_lack, struct err *err)
{
	if (may_lack && (!src || !*src))
		return 0;
	if (!src || strlen(src) != CLU_UUID_MAX - 1 || strspn(src, "0123456789abcdef-") != CLU_UUID_MAX - 1)
		return err_set(err, EPROTO, "command: not a uuid");
	memcpy(dst, src, CLU_UUID_MAX);
	return 0;
}

static int take_spec(const Hospes__Clu__Spec *pb, struct clu_spec *s, struct err *err)
{
	if (!pb)
		return err_set(err, EPROTO, "define: without what it needs");
	s->mem_bytes = pb->mem_bytes;
	s->vcpus = pb->vcpus;
	s->engine = pb->engine;
	s->priority = pb->priority;
	s->order = pb->order;
	s->restart_max = pb->restart_max;
	s->ha = pb->ha;
	int r = take_text(s->type, sizeof(s->type), pb->type, "type", err);
	if (r == 0)
		r = take_words(s->bridge[0], CLU_BRIDGES_MAX, CLU_WORD_MAX, pb->bridges, pb->n_bridges, "bridge", err);
	return r;
}

static int take_cap(const Hospes__Clu__Capacity *pb, struct clu_capacity *c, struct err *err)
{
	if (!pb || pb->n_cpu_bits > BITS_N)
		return err_set(err, EPROTO, "host-up: without a capacity that makes sense");
	c->mem_bytes = pb->mem_bytes;
	c->cpu_milli = pb->cpu_milli;
	c->engines = pb->engines;
	for (size_t i = 0; i < pb->n_cpu_bits; i++)
		c->cpu_bits[i] = pb->cpu_bits[i];
	int r = take_words(c->bridge[0], CLU_BRIDGES_MAX, CLU_WORD_MAX, pb->bridges, pb->n_bridges, "bridge", err);
	if (r == 0)
		r = take_words(c->label[0], CLU_LABELS_MAX, CLU_WORD_MAX, pb->labels, pb->n_labels, "label", err);
	return r;
}

static int take_inventory(struct cluwire *w, const Hospes__Clu__Command *pb, struct err *err)
{
	int r = 0;

	if (pb->n_inventory > CLU_INVENTORY_MAX)
		return err_set(err, EPROTO, "host-up: %zu domains", pb->n_inventory);
	if (!pb->n_inventory)
		return 0;
	w->inventory = calloc(pb->n_inventory, sizeof(w->inventory[0]));
	if (!w->inventory)
		return err_sys(err, ENOMEM, "host-up");
	for (size_t i = 0; r == 0 && i < pb->n_inventory; i++) {
		r = take_uuid(w->inventory[i].uuid, pb->inventory[i]->uuid, false, err);
		w->inventory[i].generation = pb->inventory[i]->generation;
	}
	w->msg.cmd.inventory = w->inventory;
	w->msg.cmd.n_inventory = (uint32_t)pb->n_inventory;
	return r;
}

static int take_rule(const Hospes__Clu__Rule *pb, struct clu_rule *rule, struct err *err)
{
	if (!pb)
		return err_set(err, EPROTO, "rule: is missing");
	rule->id = pb->id;
	rule->kind = (enum clu_rule_kind)pb->kind;
	rule->soft = pb->soft;
	rule->never = pb->never;
	rule->n = (uint32_t)pb->n_members;
	return take_words(rule->member[0], CLU_MEMBERS_MAX, CLU_NAME_MAX, pb->members, pb->n_members, "member", err);
}

static int take_define(struct cluwire *w, const Hospes__Clu__Command *pb, struct err *err)
{
	if (!name_is_valid(pb->name))
		return err_set(err, EPROTO, "define: not a domain name");
	if (!pb->xml.len || pb->xml.len > CLUWIRE_XML_MAX || memchr(pb->xml.data, 0, pb->xml.len))
		return err_set(err, EPROTO, "define: XML of %zu octets", pb->xml.len);
	w->xml = (const char *)pb->xml.data;
	w->xml_len = pb->xml.len;
	return take_spec(pb->spec, &w->msg.cmd.spec, err);
}

static int take_scalars(const Hospes__Clu__Command *pb, struct clu_cmd *c, struct err *err)
{
	if (pb->kind <= CLU_CMD_NONE || pb->kind >= CLU_CMD_MAX)
		return err_set(err, EPROTO, "command of unknown kind %u", pb->kind);
	if (pb->result > CLU_RESULT_ABSENT || pb->seen > CLU_SEEN_ENDED || pb->desired > CLU_DESIRED_RUNNING ||
	    pb->safe_by > CLU_SAFE_PERSON || pb->leaving > CLU_LEAVING_ENDING)
		return err_set(err, EPROTO, "%s: a value of a later version",
		               clu_cmd_name((enum clu_cmd_kind)pb->kind));
	c->kind = (enum clu_cmd_kind)pb->kind;
	c->request = pb->request;
	c->time_ns = pb->time_ns;
	c->host = pb->host;
	c->target = pb->target;
	c->rev = pb->rev;
	c->op_id = pb->op_id;
	c->generation = pb->generation;
	c->result = (enum clu_result)pb->result;
	c->seen = (enum clu_seen)pb->seen;
	c->desired = (enum clu_desired)pb->desired;
	c->safe_by = (enum clu_safe_by)pb->safe_by;
	c->on = pb->on;
	c->boot = pb->boot;
	c->lease_ns = pb->lease_ns;
	c->self_fencing = pb->self_fencing;
	c->clock_stops = pb->clock_stops;
	c->leaving = (enum clu_leaving)pb->leaving;
	int r = take_uuid(c->uuid, pb->uuid, true, err);
	if (r == 0)
		r = take_text(c->name, sizeof(c->name), pb->name, "name", err);
	if (r == 0)
		r = take_text(c->text, sizeof(c->text), pb->text, "text", err);
	return r;
}

static bool about_a_domain(enum clu_cmd_kind k)
{
	return (k >= CLU_CMD_DEFINE && k <= CLU_CMD_REACH);
}

int cluwire_unpack_cmd(struct cluwire *w, struct err *err)
{
	const Hospes__Clu__Command *pb = w->env->command;
	struct clu_cmd *c = &w->msg.cmd;
	int r = take_scalars(pb, c, err);

	w->msg.kind = CLU_MSG_CMD;
	c->origin = w->env->node;
	if (r == 0 && about_a_domain(c->kind) && !c->uuid[0])
		r = err_set(err, EPROTO, "%s: without a uuid", clu_cmd_name(c->kind));
	if (r == 0 && c->kind == CLU_CMD_DEFINE)
		r = take_define(w, pb, err);
	if (r == 0 && c->kind == CLU_CMD_HOST_UP)
		r = take_cap(pb->cap, &c->cap, err);
	if (r == 0 && c->kind == CLU_CMD_HOST_UP)
		r = take_inventory(w, pb, err);
	if (r == 0 && (c->kind == CLU_CMD_RULE_ADD || c->kind == CLU_CMD_RULE_REMOVE))
		r = take_rule(pb->rule, &c->rule, err);
	if (r == 0 && c->kind == CLU_CMD_POLICY) {
		if (!pb->policy)
			return err_set(err, EPROTO, "policy: is missing");
		policy_of_pb(pb->policy, &c->policy);
	}
	return r;
}
