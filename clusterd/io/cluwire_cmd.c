/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands as octets: struct clu_cmd to and from proto/cluster.proto's Command, with all its limits. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/record.h"
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

/* A field of @r into @pb, by its line in record.h or policy.h; @w: room for the pointers of lists. */
#define TO(kind, name, ...)                       TO_##kind(name)
#define TO_POLICY(number, since, kind, name, ...) TO_U64(name)
#define TO_U64(name)                              pb->name = r->name;
#define TO_U32                                    TO_U64
#define TO_I32                                    TO_U64
#define TO_FLAG                                   TO_U64
#define TO_ENUM                                   TO_U64
#define TO_TEXT                                   TO_U64
#define TO_BITS(name)                             pb->name = r->name, pb->n_##name = BITS_N;
#define TO_WORDS(name)                                                                                                 \
	pb->name##s = w;                                                                                               \
	pb->n_##name##s = list_words(r->name[0], ARRAY_SIZE(r->name), sizeof(r->name[0]), w);                          \
	w += pb->n_##name##s;
#define TO_MEMBERS(name)                                                                                               \
	pb->name##s = w;                                                                                               \
	while (pb->n_##name##s < r->n && pb->n_##name##s < ARRAY_SIZE(r->name)) {                                      \
		*w++ = r->name[pb->n_##name##s];                                                                       \
		pb->n_##name##s++;                                                                                     \
	}

static void policy_to_pb(const struct clu_policy *r, Hospes__Clu__Policy *pb)
{
	hospes__clu__policy__init(pb);
	CLU_POLICY_FIELDS(TO_POLICY)
}

static void spec_to_pb(struct clu_spec *r, Hospes__Clu__Spec *pb, char **w)
{
	hospes__clu__spec__init(pb);
	CLU_SPEC_FIELDS(TO)
	pb->cpu_named = r->cpu_named;
}

static void cap_to_pb(struct clu_capacity *r, Hospes__Clu__Capacity *pb, char **w)
{
	hospes__clu__capacity__init(pb);
	CLU_CAPACITY_FIELDS(TO)
	CLU_CAPACITY_FIELDS_4(TO)
}

static void rule_to_pb(struct clu_rule *r, Hospes__Clu__Rule *pb, char **w)
{
	hospes__clu__rule__init(pb);
	CLU_RULE_FIELDS(TO)
	CLU_RULE_FIELDS_2(TO)
}

static void set_to_pb(struct clu_settings *r, Hospes__Clu__Settings *pb)
{
	hospes__clu__settings__init(pb);
	CLU_SET_FIELDS(TO)
}

static void scalars_to_pb(struct clu_cmd *r, Hospes__Clu__Command *pb)
{
	CLU_CMD_FIELDS(TO_U64)
	pb->uuid = r->uuid;
	pb->name = r->name;
	pb->text = r->text;
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
	Hospes__Clu__Settings set;
	_cleanup_free_ Hospes__Clu__Inventory *inv = NULL;
	struct clu_cmd c = *cmd; /* protobuf wants pointers that are not const */
	char *w[CLU_BRIDGES_MAX + CLU_LABELS_MAX + CLU_BUILDS_MAX];
	_Static_assert(ARRAY_SIZE(w) >= CLU_MEMBERS_MAX, "lists of any command fit");
	int r = 0;

	scalars_to_pb(&c, &pb);
	if (c.kind == CLU_CMD_DEFINE) {
		spec_to_pb(&c.spec, &spec, w);
		pb.spec = &spec;
		pb.xml = (ProtobufCBinaryData){ .len = xml ? xml_len : 0, .data = (uint8_t *)(uintptr_t)xml };
	} else if (c.kind == CLU_CMD_HOST_UP) {
		cap_to_pb(&c.cap, &cap, w);
		pb.cap = &cap;
		r = put_inventory(&c, &pb, &inv);
	} else if (c.kind == CLU_CMD_RULE_ADD || c.kind == CLU_CMD_RULE_REMOVE) {
		rule_to_pb(&c.rule, &rule, w);
		pb.rule = &rule;
	} else if (c.kind == CLU_CMD_POLICY) {
		policy_to_pb(&c.policy, &policy);
		pb.policy = &policy;
	} else if (c.kind == CLU_CMD_SET) {
		set_to_pb(&c.set, &set);
		pb.set = &set;
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

/* A field of @r from @pb; what is wrong with it in @e. */
#define OF(kind, name, ...)                       OF_##kind(name)
#define OF_POLICY(number, since, kind, name, ...) OF_U64(name)
#define OF_U64(name)                              r->name = (__typeof__(r->name))pb->name;
#define OF_U32                                    OF_U64
#define OF_I32                                    OF_U64
#define OF_FLAG                                   OF_U64
#define OF_ENUM                                   OF_U64
#define OF_BITS(name)                                                                                                  \
	for (size_t i = 0; i < pb->n_##name; i++)                                                                      \
		r->name[i] = pb->name[i];
#define OF_TEXT(name)                                                                                                  \
	if (e == 0)                                                                                                    \
		e = take_text(r->name, sizeof(r->name), pb->name, #name, err);
#define OF_WORDS(name)                                                                                                 \
	if (e == 0)                                                                                                    \
		e = take_words(r->name[0], ARRAY_SIZE(r->name), sizeof(r->name[0]), pb->name##s, pb->n_##name##s,      \
		               #name, err);
#define OF_MEMBERS(name)                                                                                               \
	r->n = (uint32_t)pb->n_##name##s;                                                                              \
	OF_WORDS(name)

static int take_policy(const Hospes__Clu__Policy *pb, struct clu_policy *r, struct err *err)
{
	if (!pb)
		return err_set(err, EPROTO, "policy: is missing");
	CLU_POLICY_FIELDS(OF_POLICY)
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
		if (f->since > 1 && !clu_policy_get(r, f)) /* of an older node */
			clu_policy_set(r, f, f->otherwise);
	return 0;
}

static int take_spec(const Hospes__Clu__Spec *pb, struct clu_spec *r, struct err *err)
{
	int e = 0;

	if (!pb)
		return err_set(err, EPROTO, "define: without what it needs");
	CLU_SPEC_FIELDS(OF)
	r->cpu_named = pb->cpu_named;
	return e;
}

static int take_cap(const Hospes__Clu__Capacity *pb, struct clu_capacity *r, struct err *err)
{
	int e = 0;

	if (!pb || pb->n_cpu_bits > BITS_N)
		return err_set(err, EPROTO, "host-up: without a capacity that makes sense");
	CLU_CAPACITY_FIELDS(OF)
	CLU_CAPACITY_FIELDS_4(OF)
	return e;
}

static int take_rule(const Hospes__Clu__Rule *pb, struct clu_rule *r, struct err *err)
{
	int e = 0;

	if (!pb)
		return err_set(err, EPROTO, "rule: is missing");
	CLU_RULE_FIELDS(OF)
	CLU_RULE_FIELDS_2(OF)
	return e;
}

static int take_set(const Hospes__Clu__Settings *pb, struct clu_settings *r, struct err *err)
{
	if (!pb)
		return err_set(err, EPROTO, "set: without settings");
	CLU_SET_FIELDS(OF)
	return 0;
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

static int take_scalars(const Hospes__Clu__Command *pb, struct clu_cmd *r, struct err *err)
{
	if (pb->kind <= CLU_CMD_NONE || pb->kind >= CLU_CMD_MAX)
		return err_set(err, EPROTO, "command of unknown kind %u", pb->kind);
	if (pb->result > CLU_RESULT_ABSENT || pb->seen > CLU_SEEN_ENDED || pb->desired > CLU_DESIRED_RUNNING ||
	    pb->safe_by > CLU_SAFE_PERSON || pb->leaving > CLU_LEAVING_ENDING)
		return err_set(err, EPROTO, "%s: a value of a later version",
		               clu_cmd_name((enum clu_cmd_kind)pb->kind));
	CLU_CMD_FIELDS(OF_U64)
	int e = take_uuid(r->uuid, pb->uuid, true, err);
	OF_TEXT(name)
	OF_TEXT(text)
	return e;
}

static bool about_a_domain(enum clu_cmd_kind k)
{
	return (k >= CLU_CMD_DEFINE && k <= CLU_CMD_REACH) || k == CLU_CMD_SET;
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
	if (r == 0 && c->kind == CLU_CMD_POLICY)
		r = take_policy(pb->policy, &c->policy, err);
	if (r == 0 && c->kind == CLU_CMD_SET)
		r = take_set(pb->set, &c->set, err);
	return r;
}
