/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders of vmclus, as clusterd/io/cluctl_order.c carries them out on a state without a cluster; what is answered goes to a stand-in of ctlsock_reply(). */
#include "config.h"
#include "tests/unit/testutil.h"

#include "clusterd/core/level.h"
#include "clusterd/io/cluctl_int.h"
#include "clusterd/io/nodeio_int.h"
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"

static json_t *said; /* the last answer */

void __wrap_ctlsock_reply(struct ctlsock_client *c, json_t *o);
void __wrap_ctlsock_reply(struct ctlsock_client *c, json_t *o)
{
	(void)c;
	json_decref(said);
	said = o;
}

/* There is no lease anywhere. */
void __wrap_probe_ask(struct probe *p, struct workers *ws, enum probe_op op, enum work_kind kind, const char *name,
                      const char *xml, size_t len, void (*done)(void *arg), void *arg);
void __wrap_probe_ask(struct probe *p, struct workers *ws, enum probe_op op, enum work_kind kind, const char *name,
                      const char *xml, size_t len, void (*done)(void *arg), void *arg)
{
	(void)ws, (void)op, (void)kind, (void)name, (void)xml, (void)len, (void)done, (void)arg;
	p->answered = true;
}

struct workers *__wrap_local_helpers(const struct local *l);
struct workers *__wrap_local_helpers(const struct local *l)
{
	(void)l;
	return NULL;
}

static struct clu_state s;
static struct clu_dom doms[4];
static struct nodeio node = { .have_cfg = true, .s = &s };
static struct cluctl ctl = { .n = &node, .local = (struct local *)&s }; /* not looked into */
static struct client client = { .ctl = &ctl };

static int setup(void **state)
{
	(void)state;
	clu_state_init(&s, doms, ARRAY_SIZE(doms));
	s.host[0].node = 1;
	s.host[0].cap.engines = CLU_ENGINE_PV;
	return test_dir_setup(state);
}

static const char *text(const char *key)
{
	return json_string_value(json_object_get(said, key)) ?: "";
}

static void order(json_t *req)
{
	client.o = (struct order){ .req = req };
	client.s.busy = true;
}

static void test_policy(void **state)
{
	json_t *shown;
	(void)state;

	order(json_pack("{s:s}", "op", "policy"));
	ctl_policy(&client);
	assert_true(client.o.go_on(&client));
	assert_string_equal(text("type"), "policy");
	shown = json_object_get(said, "policy"); /* docs/wire/clusterctl.md: all of them */
	assert_true(json_is_object(shown));
	assert_int_equal(json_object_size(shown), CLU_POLICY_END - clu_policy_field);
	assert_string_equal(json_string_value(json_object_get(shown, "admission")), "warn");
}

/* A warning is told with the answer. */
static void test_policy_set(void **state)
{
	(void)state;

	order(json_pack("{s:s, s:{s:i}}", "op", "policy", "set", "lease_s", 20));
	ctl_policy(&client);
	assert_int_equal(client.o.cmd->policy.lease_ns, 20 * NS_PER_S);
	assert_true(client.o.go_on(&client));
	assert_int_equal(json_array_size(json_object_get(said, "warnings")), 1);
}

#define HEAD(type, kib)                                                                                                \
	"<domain type='" type "'><name>g</name><memory>" kib                                                           \
	"</memory><os><type>linux</type><kernel>/boot/vmlinuz</kernel></os>"

#define NIC "<devices><interface type='bridge'><source bridge='b'/></interface></devices>"

static void define(const char *xml)
{
	json_decref(said);
	said = NULL;
	order(json_pack("{s:s, s:s, s:s}", "op", "define", "xml", xml, "origin", "g.xml"));
	ctl_define(&client);
	while (client.s.busy && !client.o.cmd)
		(void)client.o.go_on(&client);
}

static void test_define(void **state)
{
	(void)state;

	define(HEAD("uml", "65536") "</domain>");
	assert_null(said);
	assert_int_equal(client.o.cmd->kind, CLU_CMD_DEFINE);
	assert_string_equal(client.o.cmd->name, "g");
	assert_null(client.o.warnings);
	ctl_ok(&client);
}

/* Without a uuid it is the domain of that name, with the address that it has; and what is defined is shown. */
static void test_define_again(void **state)
{
	static const char uuid[] = "5a0c7b52-0000-4000-8000-0123456789ab";
	_cleanup_dom_config_ struct dom_config *cfg = NULL, *same = NULL;
	struct nodeio_text texts[ARRAY_SIZE(doms)] = { { .id = 7 } };
	struct err err;
	(void)state;

	memcpy(doms[0].name, "g", 2);
	memcpy(doms[0].uuid, uuid, sizeof(uuid));
	doms[0].xml_id = 7;
	s.n_dom = 1;
	define(HEAD("uml", "65536") NIC "</domain>");
	assert_null(said);
	assert_string_equal(client.o.cmd->uuid, uuid);
	assert_int_equal(dom_config_parse(client.o.xml, client.o.xml_len, "again", &cfg, &err), 0);
	assert_string_equal(cfg->uuid, uuid);
	static const char given[] = "<uuid>5a0c7b52-0000-4000-8000-0123456789ab</uuid>" NIC "</domain>";
	_cleanup_free_ char *with = xasprintf("%s%s", HEAD("uml", "65536"), given);
	assert_int_equal(dom_config_parse(with, strlen(with), "given", &same, &err), 0);
	assert_memory_equal(cfg->nic[0].mac, same->nic[0].mac, 6);
	texts[0].xml = client.o.xml;
	texts[0].len = client.o.xml_len;
	node.text = texts;
	json_t *xml = json_string(client.o.xml);
	client.o.xml = NULL;
	ctl_ok(&client);
	order(json_pack("{s:s, s:s}", "op", "dumpxml", "name", "g"));
	ctl_xml(&client);
	assert_string_equal(text("xml"), json_string_value(xml));
	json_decref(xml);
	free(texts[0].xml);
	texts[0].xml = NULL;
	node.text = NULL;
	s.n_dom = 0;
}

/* What no host can run is refused; what none can run today is warned of, first of all. */
static void test_define_what_cannot_run(void **state)
{
	const char *first;
	(void)state;

	define(HEAD("uml", "1024") "</domain>");
	assert_string_equal(text("code"), "EOPNOTSUPP");
	assert_non_null(strstr(text("error"), "at least 32 MiB"));
	define(HEAD("uml", "65536") "<vcpu>3</vcpu></domain>");
	assert_non_null(strstr(text("error"), "asks for 3 vCPUs"));
	define(HEAD("kvm", "65536") "<on_crash>restart</on_crash></domain>");
	assert_null(said);
	assert_int_equal(json_array_size(client.o.warnings), 2);
	first = json_string_value(json_array_get(client.o.warnings, 0));
	assert_string_equal(first, "no host of the cluster has engine kvm, which g needs (hvdom --engines says why)");
	ctl_ok(&client);
	s.host[0].cap.engines |= CLU_ENGINE_KVM;
	define(HEAD("kvm", "65536") "</domain>");
	assert_null(client.o.warnings);
	ctl_ok(&client);
}

/* No host could read it from the state. */
static void test_define_what_cannot_be_read_again(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	(void)state;

	buf_put(&b, HEAD("uml", "65536") "<metadata><x:x xmlns:x='x'>",
	        strlen(HEAD("uml", "65536") "<metadata><x:x xmlns:x='x'>"));
	for (unsigned i = 0; i < 200000; i++)
		buf_put(&b, "<a/>", 4);
	buf_put(&b, "</x:x></metadata></domain>", 27);
	define((char *)b.data);
	assert_string_equal(text("code"), "E2BIG");
	define(HEAD(
		"uml",
		"65536") "<description><![CDATA[]]></description><metadata><x:x xmlns:x='x'><a/>&#32;<b/></x:x></metadata></domain>");
	assert_string_equal(text("code"), "EINVAL");
	assert_non_null(strstr(text("error"), "read differently"));
}

static int teardown(void **state)
{
	json_decref(said);
	said = NULL;
	return test_dir_teardown(state);
}

/* A host that lacks something of a domain says what: whoever wants it there reads that, not where to look for it. */
static void test_move_refused(void **state)
{
	struct store_event ev = {
		.index = 7,
		.kind = (char *)(uintptr_t)clu_cmd_name(CLU_CMD_REACH),
		.text = (char *)"g could not start on host-b: this host's QEMU 7.2.22 has no machine x",
		.domain = (char *)"g",
		.host = (char *)"host-b"
	};
	(void)state;

	node.events = eventlist_new();
	eventlist_add(node.events, &ev);
	snprintf(s.host[0].name, CLU_NAME_MAX, "host-a");
	s.host[1] = s.host[0];
	snprintf(s.host[1].name, CLU_NAME_MAX, "host-b");
	s.host[1].node = 2;
	s.host[0].state = s.host[1].state = CLU_HOST_ONLINE;
	s.n_dom = 1;
	doms[0] = (struct clu_dom){ .phase = CLU_PHASE_RUNNING, .host = 1, .unreachable = { 2 } };
	doms[0].spec.engine = CLU_ENGINE_PV;
	snprintf(doms[0].name, CLU_NAME_MAX, "g");
	snprintf(doms[0].uuid, CLU_UUID_MAX, "11111111-2222-3333-4444-555555555555");
	s.host[0].cap.mem_bytes = s.host[1].cap.mem_bytes = 1ull << 30;
	order(json_pack("{s:s, s:s, s:s}", "op", "move", "name", "g", "host", "host-b"));
	ctl_move(&client);
	assert_string_equal(text("error"), "host-b cannot take g: this host's QEMU 7.2.22 has no machine x");
	eventlist_free(node.events);
	node.events = NULL;
}

static bool in(json_t *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v) if (!strcmp(json_string_value(v), word)) return true;
	return false;
}

static void test_cpu_baseline(void **state)
{
	static const char *const common[] = { "avx", "pcid" };
	int extra = cpu_feature_bit("avx2");
	(void)state;

	for (int h = 0; h < 3; h++) {
		s.host[h].node = (uint32_t)h + 1;
		snprintf(s.host[h].name, CLU_NAME_MAX, "host-%c", 'a' + h);
	}
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < ARRAY_SIZE(common); i++)
			clu_bit_set(s.host[h].cap.cpu_bits, (uint32_t)cpu_feature_bit(common[i]));
	clu_bit_set(s.host[1].cap.cpu_bits, (uint32_t)extra);
	order(json_pack("{s:s}", "op", "cpu-baseline"));
	ctl_cpu_baseline(&client);
	assert_string_equal(text("type"), "baseline");
	json_t *features = json_object_get(said, "features"), *hosts = json_object_get(said, "hosts");
	assert_int_equal(json_array_size(features), ARRAY_SIZE(common));
	assert_true(in(features, "avx") && in(features, "pcid"));
	assert_int_equal(json_array_size(hosts), 3);
	json_t *a = json_array_get(hosts, 0), *b = json_array_get(hosts, 1), *c = json_array_get(hosts, 2);
	assert_string_equal(json_string_value(json_object_get(a, "name")), "host-a");
	assert_true(json_is_true(json_object_get(a, "counts")) && json_is_true(json_object_get(b, "counts")));
	assert_true(json_array_size(json_object_get(a, "lacks")) == 1 && in(json_object_get(a, "lacks"), "avx2"));
	assert_int_equal(json_array_size(json_object_get(b, "lacks")), 0);
	/* one that was never there */
	assert_true(json_is_false(json_object_get(c, "counts")));
}

static void test_rule_after(void **state)
{
	json_t *req = json_pack("{s:s, s:s, s:[s,s], s:b, s:f}", "op", "rule-add", "kind", "after", "members", "web",
	                        "db", "healthy", 1, "delay_s", 2.5);
	(void)state;

	s.n_dom = 2;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(doms[i].uuid, CLU_UUID_MAX, "00000000-0000-0000-0000-00000000000%u", i);
		snprintf(doms[i].name, CLU_NAME_MAX, "%s", i ? "db" : "web");
	}
	order(json_incref(req));
	ctl_rule_add(&client);
	assert_int_equal(client.o.cmd->rule.kind, CLU_RULE_AFTER);
	assert_true(client.o.cmd->rule.healthy);
	assert_int_equal(client.o.cmd->rule.delay_ns, 2500 * NS_PER_MS);
	/* of hosts of the last release none knows it */
	const struct clu_feature *f = clu_cmd_needs(client.o.cmd);
	assert_true(f && f->level == 1);
	client.o.cmd->rule.kind = CLU_RULE_APART;
	assert_null(clu_cmd_needs(client.o.cmd));
	ctl_ok(&client);
	(void)json_object_set_new(req, "delay_s", json_real(1e300));
	order(req);
	ctl_rule_add(&client);
	assert_string_equal(text("code"), "EINVAL");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rule_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_define, setup, teardown),
		cmocka_unit_test_setup_teardown(test_define_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_define_what_cannot_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_define_what_cannot_be_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_move_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_baseline, setup, teardown),
	};

	return cmocka_run_group_tests_name("cluctl", tests, NULL, NULL);
}
