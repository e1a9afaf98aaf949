/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/api/hvmsg.c, and of docs/wire/hypercall.md against hypervisor/api/hypercall.h. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/util.h"
#include "hypervisor/api/hvmsg.h"

#define GOOD HV_MAGIC, HV_VERSION

static void test_messages(void **state)
{
	static const struct {
		const char *what;
		struct hv_msg h;
		size_t len, n_fds;
		enum hvmsg_verdict verdict;
		int code;
	} cases[] = {
		{ "hello", { GOOD, HV_OP_HELLO, 7, 0, 0 }, 24, 0, HVMSG_OK, 0 },
		{ "last op", { GOOD, HV_OP_MAX - 1, 7, 0, 0 }, 24, 0, HVMSG_OK, 0 },
		{ "payload", { GOOD, HV_OP_TAKE, 7, 0, 72 }, 96, 0, HVMSG_OK, 0 },
		{ "longer payload of a later version", { GOOD, HV_OP_TAKE, 7, 0, 100 }, 124, 0, HVMSG_OK, 0 },
		{ "descriptor", { GOOD, HV_OP_SET_STATE, 7, 0, 8 }, 32, 1, HVMSG_OK, 0 },
		{ "no octets", { GOOD, HV_OP_HELLO, 7, 0, 0 }, 0, 0, HVMSG_HANGUP, EPROTO },
		{ "short header", { GOOD, HV_OP_HELLO, 7, 0, 0 }, 23, 0, HVMSG_HANGUP, EPROTO },
		{ "magic", { 0x12345678, HV_VERSION, HV_OP_HELLO, 7, 0, 0 }, 24, 0, HVMSG_HANGUP, EPROTO },
		{ "version 0", { HV_MAGIC, 0, HV_OP_HELLO, 7, 0, 0 }, 24, 0, HVMSG_HANGUP, EPROTONOSUPPORT },
		{ "next version",
		  { HV_MAGIC, HV_VERSION + 1, HV_OP_HELLO, 7, 0, 0 },
		  24,
		  0,
		  HVMSG_HANGUP,
		  EPROTONOSUPPORT },
		{ "length too big", { GOOD, HV_OP_HELLO, 7, 0, 1 }, 24, 0, HVMSG_HANGUP, EPROTO },
		{ "length too small", { GOOD, HV_OP_TAKE, 7, 0, 71 }, 96, 0, HVMSG_HANGUP, EPROTO },
		{ "length wraps", { GOOD, HV_OP_TAKE, 7, 0, UINT32_MAX }, 96, 0, HVMSG_HANGUP, EPROTO },
		{ "op 0", { GOOD, 0, 7, 0, 0 }, 24, 0, HVMSG_REFUSE, EOPNOTSUPP },
		{ "an event as request", { GOOD, HV_OP_EVENT, 7, 0, 0 }, 24, 0, HVMSG_REFUSE, EOPNOTSUPP },
		{ "op after the last", { GOOD, HV_OP_MAX, 7, 0, 0 }, 24, 0, HVMSG_REFUSE, EOPNOTSUPP },
		{ "op 65535", { GOOD, 65535, 7, 0, 0 }, 24, 0, HVMSG_REFUSE, EOPNOTSUPP },
		{ "descriptor missing", { GOOD, HV_OP_SET_STATE, 7, 0, 8 }, 32, 0, HVMSG_HANGUP, EPROTO },
		{ "descriptor too many", { GOOD, HV_OP_SET_STATE, 7, 0, 8 }, 32, 2, HVMSG_HANGUP, EPROTO },
		{ "descriptors, few", { GOOD, HV_OP_ATTACH, 7, 0, 8 }, 32, 1, HVMSG_OK, 0 },
		{ "descriptors, many", { GOOD, HV_OP_ATTACH, 7, 0, 8 }, 32, 16, HVMSG_OK, 0 },
		{ "descriptors, none", { GOOD, HV_OP_ATTACH, 7, 0, 8 }, 32, 0, HVMSG_HANGUP, EPROTO },
		{ "descriptors, too many", { GOOD, HV_OP_ATTACH, 7, 0, 8 }, 32, 17, HVMSG_HANGUP, EPROTO },
		{ "descriptor unasked", { GOOD, HV_OP_HELLO, 7, 0, 0 }, 24, 1, HVMSG_HANGUP, EPROTO },
	};
	static uint8_t bytes[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { 0 };
		struct hv_msg h;
		enum hvmsg_verdict v;

		memcpy(bytes, &cases[i].h, sizeof(h));
		v = hvmsg_check(bytes, cases[i].len, cases[i].n_fds, &h, &err);
		if (v != cases[i].verdict || err.code != cases[i].code)
			fail_msg("%s: verdict %d, %s", cases[i].what, (int)v, err.text);
		if (cases[i].len >= 24)
			assert_memory_equal(&h, &cases[i].h, sizeof(h));
	}
}

static void test_every_op_has_a_name(void **state)
{
	(void)state;
	for (uint16_t op = 1; op < HV_OP_MAX; op++)
		assert_int_equal(!strcmp(hvmsg_op_name(op), "unknown"), op == HV_OP_EVENT || op == 31);
	assert_string_equal(hvmsg_op_name(HV_OP_MAX), "unknown");
	assert_int_equal(hvmsg_req_len(HV_OP_TAKE), 72);
	assert_int_equal(hvmsg_req_len(9999), 0);
	assert_null(hvmsg_op(9999));
}

struct field {
	const char *structure, *name;
	size_t offset, octets;
};
#define F(s, f)                                                                                                        \
	{                                                                                                              \
#s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f)                                              \
	}

static const struct field fields[] = {
	F(hv_msg, magic),
	F(hv_msg, version),
	F(hv_msg, op),
	F(hv_msg, cookie),
	F(hv_msg, status),
	F(hv_msg, len),
	F(hv_hello, version),
	F(hv_hello, caps),
	F(hv_hello, engine),
	F(hv_hello, build),
	F(hv_hello, kernel_id),
	F(hv_info, name),
	F(hv_info, uuid),
	F(hv_info, state),
	F(hv_info, vcpus),
	F(hv_info, ram_bytes),
	F(hv_info, ram_current_bytes),
	F(hv_info, generation),
	F(hv_info, pid),
	F(hv_info, logdirty_mode),
	F(hv_info, uptime_ns),
	F(hv_info, owner),
	F(hv_info, beat_s),
	F(hv_info, watchdog_count),
	F(hv_info, reason),
	F(hv_info, disk_wait_ms),
	F(hv_info, disk),
	F(hv_info, reason_text),
	F(hv_info, frozen_s),
	F(hv_info, reboots),
	F(hv_info, base),
	F(hv_info, logdirty_by),
	F(hv_info, reserved),
	F(hv_info, base_bytes),
	F(hv_dev_stats, name),
	F(hv_dev_stats, kind),
	F(hv_dev_stats, broken),
	F(hv_dev_stats, rd_ops),
	F(hv_dev_stats, rd_bytes),
	F(hv_dev_stats, wr_ops),
	F(hv_dev_stats, wr_bytes),
	F(hv_dev_stats, flushes),
	F(hv_dev_stats, errors),
	F(hv_dev_stats, drops),
	F(hv_stats, cpu_ns),
	F(hv_stats, hv_cpu_ns),
	F(hv_stats, ram_bytes),
	F(hv_stats, ram_used_bytes),
	F(hv_stats, hv_rss_bytes),
	F(hv_stats, processes),
	F(hv_stats, n_devs),
	F(hv_stats, dirty_pages_per_s),
	F(hv_stats, dev),
	F(hv_stats, mem_at_s),
	F(hv_stats, mem),
	F(hv_suspend_rep, freeze_ns),
	F(hv_suspend_rep, quiesce_ns),
	F(hv_resume_rep, resume_ns),
	F(hv_resume_rep, running_at_ns),
	F(hv_logdirty_req, mode),
	F(hv_logdirty_req, flags),
	F(hv_logdirty_rep, mode),
	F(hv_logdirty_rep, by),
	F(hv_logdirty_rep, dirty_pages),
	F(hv_logdirty_rep, scan_ns),
	F(hv_region, guest_addr),
	F(hv_region, size_bytes),
	F(hv_region, bitmap_offset),
	F(hv_region, name),
	F(hv_map_rep, n_regions),
	F(hv_map_rep, page_bytes),
	F(hv_map_rep, bitmap_bytes),
	F(hv_map_rep, region),
	F(hv_get_state_req, base),
	F(hv_state_rep, size_bytes),
	F(hv_state_rep, capture_ns),
	F(hv_state_req, size_bytes),
	F(hv_throttle_req, percent),
	F(hv_throttle_req, reserved),
	F(hv_balloon_req, target_bytes),
	F(hv_destroy_req, flags),
	F(hv_destroy_req, reserved),
	F(hv_console_req, index),
	F(hv_console_req, flags),
	F(hv_owner, generation),
	F(hv_owner, owner),
	F(hv_park_req, lease_ns),
	F(hv_frozen_req, seconds),
	F(hv_frozen_req, reserved),
	F(hv_blockresize_req, disk),
	F(hv_blockresize_req, bytes),
	F(hv_attach_req, xml_bytes),
	F(hv_attach_rep, name),
	F(hv_attach_rep, place),
	F(hv_attach_rep, reserved),
	F(hv_detach_req, device),
	F(hv_display, kind),
	F(hv_display, port),
	F(hv_display, password),
	F(hv_display, clients),
	F(hv_display, place),
	F(hv_screenshot_req, screen),
	F(hv_screenshot_req, reserved),
	F(hv_screenshot_rep, size_bytes),
	F(hv_memhash_rep, n_regions),
	F(hv_memhash_rep, reserved),
	F(hv_memhash_rep, hash),
	F(hv_event, kind),
	F(hv_event, state),
	F(hv_event, at_ns),
	F(hv_event, text),
};

/* Each field's row is in its structure's section, and the document has no further rows. */
static void test_document_is_true(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/docs/wire/hypercall.md", getenv("top_srcdir") ?: ".");
	_cleanup_free_ char *text = NULL;
	size_t rows = 0;

	(void)state;
	assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		_cleanup_free_ char *head = xasprintf("### %s\n", fields[i].structure);
		_cleanup_free_ char *row = xasprintf("| %zu | %zu | `%s` |", fields[i].offset, fields[i].octets,
		                                     fields[i].name);
		const char *section = strstr(text, head), *at = section ? strstr(section, row) : NULL;
		const char *end = section ? strstr(section + 4, "### ") : NULL;

		if (!at || (end && at > end))
			fail_msg("%s: row \"%s\" is missing", fields[i].structure, row);
	}
	for (const char *s = strstr(text, "## Structures"); (s = strstr(s, "\n| ")); s++)
		rows += s[3] >= '0' && s[3] <= '9';
	assert_int_equal(rows, ARRAY_SIZE(fields));
}

/* The size of the structure of a cell of the table, as its own section says it. */
static unsigned size_of(const char *text, const char *cell)
{
	_cleanup_free_ char *head = xasprintf("### %s\n", cell);
	const char *section = strstr(text, head), *total = section ? strstr(section, "\nTotal: ") : NULL;

	return total ? (unsigned)atoi(total + 8) : !strcmp(cell, "u32 level") ? 4 : 0;
}

static uint16_t states_of(char *cell)
{
	static const char *const names[] = { "",          "booting",      "running",  "paused",
		                             "suspended", "relinquished", "incoming", "restored",
		                             "shut down", "crashed",      "parked" };
	uint16_t states = 0;

	for (char *name; (name = strsep(&cell, ","));) {
		unsigned i = 1;

		name += *name == ' ';
		if (!strcmp(name, "any"))
			return HVMSG_ANY_STATE;
		while (i < ARRAY_SIZE(names) && strcmp(names[i], name) != 0)
			i++;
		assert_true(i < ARRAY_SIZE(names));
		states |= (uint16_t)(1u << i);
	}
	return states;
}

/* The table of operations is the one that hvdom goes by. */
static void test_operations_are_true(void **state)
{
	static const char *const sessions[] = { "-", "suspension", "log-dirty", "incoming" };
	_cleanup_free_ char *path = xasprintf("%s/docs/wire/hypercall.md", getenv("top_srcdir") ?: ".");
	_cleanup_free_ char *text = NULL, *table = NULL;
	unsigned rows = 0;

	(void)state;
	assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
	table = strdup(strstr(text, "## Operations"));
	*strstr(table, "\n## ") = 0;
	for (char *rest = table, *line; (line = strsep(&rest, "\n"));) {
		char cell[8][100];
		unsigned nr;

		if (sscanf(line, "| %u | %99[^|] | %99[^|] | %99[^|] | %99[^|] | %99[^|] | %99[^|] | %99[^|]", &nr,
		           cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], cell[7]) != 8)
			continue;
		const struct hvmsg_op *op = hvmsg_op((uint16_t)nr);
		rows++;
		assert_int_equal(nr, rows);
		for (unsigned i = 1; i < 8; i++)
			cell[i][strcspn(cell[i], "|") - 1] = 0; /* the blank before the next */
		if (!op) {
			assert_string_equal(cell[5], "-");
			continue;
		}
		for (unsigned i = 0; op->name[i] || cell[1][i]; i++)
			assert_int_equal(op->name[i] == '-' ? '_' : op->name[i],
			                 cell[1][i] == '_' ? '_' : cell[1][i] | 0x20);
		if (size_of(text, cell[2]) != op->req_len || size_of(text, cell[3]) != op->rep_len ||
		    (strstr(cell[4], "request: ") != NULL) != ((op->n_fds & 1) == 1) ||
		    states_of(cell[5]) != op->states || strcmp(cell[6], sessions[op->session]) != 0 ||
		    strcmp(cell[7], op->storage ? "served" : "-") != 0)
			fail_msg("%s: the document and hvmsg.c say different things", op->name);
	}
	assert_int_equal(rows, HV_OP_MAX - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_every_op_has_a_name),
		cmocka_unit_test(test_document_is_true),
		cmocka_unit_test(test_operations_are_true),
	};

	return cmocka_run_group_tests_name("hvmsg", tests, NULL, NULL);
}
