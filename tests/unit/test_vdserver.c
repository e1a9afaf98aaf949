/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hospes-virtd against clients that mean no good: what each may do and cost, and that the others are served on. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/util.h"
#include "virtd/vdevent.h"
#include "virtd/virtd_int.h"

static struct loop *loop;
static struct vd_server *server;
static struct vd_config cfg;

static int set_up(void **state)
{
	struct err err = { 0 };

	*state = test_dir_new();
	setenv("HOSPES_RUNDIR", *state, 1);
	setenv("HOSPES_STATEDIR", *state, 1);
	setenv("HOSPES_CONFDIR", *state, 1);
	cfg.socket = xasprintf("%s/sock", (char *)*state);
	cfg.socket_ro = xasprintf("%s/sock-ro", (char *)*state);
	loop = loop_new();
	server = vd_server_new(loop, &cfg, &err);
	if (!server)
		print_error("%s\n", err.text);
	return loop && server ? 0 : -1;
}

static int tear_down(void **state)
{
	vd_server_free(server);
	loop_free(loop);
	vd_config_done(&cfg);
	test_dir_remove(*state);
	return 0;
}

static int client(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* A message of @len octets by its header, with @p behind it. */
static void say(int fd, uint32_t len, uint32_t program, uint32_t proc, uint32_t type, uint32_t serial,
                const struct buf *p)
{
	_cleanup_buf_ struct buf b = { 0 };

	xdr_put_u32(&b, len ? len : (uint32_t)(VD_HEADER + (p ? p->len : 0)));
	xdr_put_u32(&b, program);
	xdr_put_u32(&b, 1);
	xdr_put_u32(&b, proc);
	xdr_put_u32(&b, type);
	xdr_put_u32(&b, serial);
	xdr_put_u32(&b, 0);
	if (p)
		buf_put(&b, p->data, p->len);
	assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), b.len);
}

/* The next message; 0: the connection was closed. */
static size_t hear(int fd, struct vd_header *h, uint8_t *payload, size_t room)
{
	uint8_t head[VD_HEADER];
	size_t got = 0, len = 0;
	struct xdr x;

	for (uint64_t until = now_ns() + 10 * NS_PER_S; now_ns() < until;) {
		ssize_t n;

		n = recv(fd, got < VD_HEADER ? head + got : payload + got - VD_HEADER, (len ? len : VD_HEADER) - got,
		         MSG_DONTWAIT);
		if (!n || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0) {
			(void)loop_run_once(loop, 1);
			continue;
		}
		got += (size_t)n;
		if (got == VD_HEADER) {
			x = xdr_of(head, sizeof(head));
			len = xdr_u32(&x);
			assert_in_range(len, VD_HEADER, VD_HEADER + room);
			*h = (struct vd_header){ 0 };
			h->program = xdr_u32(&x);
			h->version = xdr_u32(&x);
			h->procedure = xdr_u32(&x);
			h->type = xdr_u32(&x);
			h->serial = xdr_u32(&x);
			h->status = xdr_u32(&x);
		}
		if (got && got == len)
			return len;
	}
	fail_msg("no answer");
	return 0;
}

/* The error's code, and its text. */
static uint32_t error_of(const uint8_t *p, size_t len, uint32_t *from, char *text, size_t room)
{
	struct xdr x = xdr_of(p, len);
	uint32_t code = xdr_u32(&x);
	_cleanup_free_ char *s = NULL;

	*from = xdr_u32(&x);
	assert_true(xdr_opt_string(&x, &s));
	snprintf(text, room, "%s", s ? s : "");
	return code;
}

static void open_it(int fd)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint8_t p[1000];
	struct vd_header h;

	xdr_put_opt_string(&b, "hospes:///system");
	xdr_put_u32(&b, 0);
	say(fd, 0, VD_PROG_REMOTE, 1, VD_CALL, 1, &b);
	assert_int_equal(hear(fd, &h, p, sizeof(p)), VD_HEADER);
	assert_int_equal(h.status, VD_OK);
	assert_int_equal(h.serial, 1);
}

static void expect_error(int fd, uint32_t serial, uint32_t code, uint32_t from, const char *begin)
{
	uint8_t p[2000];
	struct vd_header h;
	size_t len = hear(fd, &h, p, sizeof(p));
	char text[600];
	uint32_t is;

	assert_true(len > VD_HEADER);
	assert_int_equal(h.type, VD_REPLY);
	assert_int_equal(h.status, VD_ERROR);
	assert_int_equal(h.serial, serial);
	assert_int_equal(error_of(p, len - VD_HEADER, &is, text, sizeof(text)), code);
	assert_int_equal(is, from);
	if (strncmp(text, begin, strlen(begin)))
		fail_msg("\"%s\" does not begin with \"%s\"", text, begin);
}

static void modes(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(cfg.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(cfg.socket_ro, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

/* The group's users may open the socket; one that there is not is an error, and no socket for nobody. */
static void group(void **state)
{
	struct vd_config with = { .socket = xasprintf("%s/group", (char *)*state),
		                  .socket_ro = xasprintf("%s/group-ro", (char *)*state) };
	const struct group *g = getgrgid(getgid());
	struct vd_server *s;
	struct err err;
	struct stat st;

	assert_non_null(g);
	with.group = xasprintf("%s", g->gr_name);
	s = vd_server_new(loop, &with, &err);
	assert_non_null(s);
	assert_int_equal(stat(with.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, getgid());
	vd_server_free(s);
	assert_int_equal(stat(with.socket, &st), -1);
	free(with.group);
	with.group = xasprintf("no such group");
	assert_null(vd_server_new(loop, &with, &err));
	assert_non_null(strstr(err.text, "does not exist"));
	free(with.group);
	/* served by another one already */
	with.group = NULL;
	free(with.socket);
	with.socket = xasprintf("%s", cfg.socket);
	assert_null(vd_server_new(loop, &with, &err));
	assert_int_equal(err.code, EADDRINUSE);
	assert_int_equal(stat(cfg.socket, &st), 0);
	vd_config_done(&with);
}

static void unknown_procedures(void **state)
{
	static const uint32_t unknown[] = { 0, 36, 53, 75, 304, 449, 0xffffffff };
	int fd = client(cfg.socket);

	(void)state;
	say(fd, 0, VD_PROG_REMOTE, 59, VD_CALL, 9, NULL);
	expect_error(fd, 9, 1, VD_FROM_RPC, "connection not open");
	open_it(fd);
	for (uint32_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		say(fd, 0, VD_PROG_REMOTE, unknown[i], VD_CALL, i, NULL);
		expect_error(fd, i, 39, VD_FROM_RPC, "unknown procedure");
	}
	say(fd, 0, VD_PROG_QEMU, 1, VD_CALL, 77, NULL);
	expect_error(fd, 77, 39, VD_FROM_RPC, "unknown procedure");
	say(fd, 0, 0x1234, 1, VD_CALL, 78, NULL);
	expect_error(fd, 78, 39, VD_FROM_RPC, "Cannot find program");
	close(fd);
}

/* The client's library would not ask; a client of another make does. */
static void read_only(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	const uint8_t none[XDR_UUID] = { 0 };
	int fd = client(cfg.socket_ro);

	(void)state;
	open_it(fd);
	vd_put_dom(&b, "guest01", none, -1);
	say(fd, 0, VD_PROG_REMOTE, 12, VD_CALL, 2, &b);
	expect_error(fd, 2, 29, VD_FROM_DOM, "operation forbidden");
	xdr_put_u32(&b, 1); /* XML with secrets */
	say(fd, 0, VD_PROG_REMOTE, 14, VD_CALL, 3, &b);
	expect_error(fd, 3, 29, VD_FROM_DOM, "operation forbidden");
	close(fd);
}

static void wrong_arguments(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	int fd = client(cfg.socket);

	(void)state;
	open_it(fd);
	say(fd, 0, VD_PROG_REMOTE, 23, VD_CALL, 2, NULL);
	expect_error(fd, 2, 39, VD_FROM_RPC, "Unable to decode");
	xdr_put_u32(&b, 0xffffffff);
	say(fd, 0, VD_PROG_REMOTE, 344, VD_CALL, 3, &b);
	expect_error(fd, 3, 39, VD_FROM_RPC, "Unable to decode");
	buf_reset(&b);
	xdr_put_string(&b, "../../etc/passwd");
	say(fd, 0, VD_PROG_REMOTE, 23, VD_CALL, 4, &b);
	expect_error(fd, 4, 42, VD_FROM_DOM, "Domain not found");
	close(fd);
}

/* Messages after which nothing can be said any more. */
static void hung_up_on(void **state)
{
	static const struct {
		uint32_t len, program, type;
	} wrong[] = { { 27, VD_PROG_REMOTE, VD_CALL },
		      { 4, VD_PROG_REMOTE, VD_CALL },
		      { VD_MSG_MAX + 4, VD_PROG_REMOTE, VD_CALL },
		      { 0xffffffff, VD_PROG_REMOTE, VD_CALL },
		      { 0, VD_PROG_REMOTE, VD_REPLY },
		      { 0, VD_PROG_REMOTE, VD_MESSAGE },
		      { 0, VD_PROG_REMOTE, VD_CALL_FDS },
		      { 0, VD_PROG_REMOTE, 99 },
		      { 0, VD_PROG_ALIVE, VD_CALL_FDS } };
	int good = client(cfg.socket);
	struct vd_header h;
	uint8_t p[1000];

	(void)state;
	open_it(good);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int fd = client(cfg.socket);

		open_it(fd);
		say(fd, wrong[i].len, wrong[i].program, 59, wrong[i].type, 5, NULL);
		if (hear(fd, &h, p, sizeof(p)))
			fail_msg("message %zu was answered", i);
		close(fd);
		say(good, 0, VD_PROG_REMOTE, 59, VD_CALL, 6, NULL);
		assert_true(hear(good, &h, p, sizeof(p)) > VD_HEADER);
	}
	close(good);
	for (int i = 0; i < 20; i++)
		(void)loop_run_once(loop, 1);
	assert_int_equal(server->n_conns, 0);
}

static void keepalive(void **state)
{
	int fd = client(cfg.socket);
	struct vd_header h;
	uint8_t p[100];

	(void)state;
	say(fd, 0, VD_PROG_ALIVE, 1, VD_MESSAGE, 0, NULL);
	assert_int_equal(hear(fd, &h, p, sizeof(p)), VD_HEADER);
	assert_int_equal(h.program, VD_PROG_ALIVE);
	assert_int_equal(h.procedure, 2);
	assert_int_equal(h.type, VD_MESSAGE);
	close(fd);
}

/* It asks, and does not read: what waits for it is bounded, others are served, and it is answered once it reads. */
static void ask_and_not_read(uint32_t procedure, enum vd_status status)
{
	const unsigned n = 30000;
	int fd = client(cfg.socket), good, rounds = 0;
	unsigned sent = 0, answers = 0;
	struct vd_header h;
	uint8_t p[4096];
	size_t most = 0;

	open_it(fd);
	_cleanup_buf_ struct buf b = { 0 };
	for (unsigned i = 0; i < n; i++) {
		xdr_put_u32(&b, VD_HEADER);
		xdr_put_u32(&b, VD_PROG_REMOTE);
		xdr_put_u32(&b, 1);
		xdr_put_u32(&b, procedure);
		xdr_put_u32(&b, VD_CALL);
		xdr_put_u32(&b, i);
		xdr_put_u32(&b, 0);
	}
	while (rounds < 3000) { /* until nothing more is taken from it */
		ssize_t k = send(fd, b.data + sent, b.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k > 0)
			sent += (unsigned)k;
		rounds = k > 0 ? 0 : rounds + 1;
		(void)loop_run_once(loop, 0);
		for (struct vd_conn *c = server->conns; c; c = c->next) {
			most = vd_unsent(c) > most ? vd_unsent(c) : most;
			assert_true(c->n_waiting < VD_WAITING_MAX + 65536 / VD_HEADER + 1);
			assert_true(c->running <= VD_RUNNING_MAX);
		}
		if (sent == b.len)
			break;
	}
	assert_true(most < 3 * VD_OUT_CALM);
	good = client(cfg.socket);
	open_it(good);
	close(good);
	/* whole messages only */
	for (unsigned want = sent / VD_HEADER; answers < want; answers++) {
		assert_true(hear(fd, &h, p, sizeof(p)) > VD_HEADER);
		assert_int_equal(h.status, status);
	}
	close(fd);
}

static void never_reads(void **state)
{
	(void)state;
	ask_and_not_read(6, VD_OK);       /* node info, on a thread */
	ask_and_not_read(59, VD_OK);      /* host name, on the loop */
	ask_and_not_read(9999, VD_ERROR); /* refused before it is a call */
}

/* A client that goes while its calls run: they end, and nobody gets their answers. */
static void gone_meanwhile(void **state)
{
	struct vd_header h;
	uint8_t p[4096];

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		int fd = client(cfg.socket), next;

		open_it(fd);
		for (uint32_t k = 0; k < 10; k++)
			say(fd, 0, VD_PROG_REMOTE, 6, VD_CALL, 1000 + k, NULL);
		(void)loop_run_once(loop, 0);
		close(fd);
		next = client(cfg.socket);
		open_it(next);
		say(next, 0, VD_PROG_REMOTE, 59, VD_CALL, 5, NULL);
		assert_true(hear(next, &h, p, sizeof(p)) > VD_HEADER);
		assert_int_equal(h.serial, 5);
		close(next);
	}
}

/* What was seen at a moment: no domain, or one. @id -1: it is off, 0: its hvdom is silent. */
static struct vd_snapshot *seen(const char *name, int32_t id, bool paused)
{
	struct vd_snapshot *s = calloc(1, sizeof(*s));

	s->dom = calloc(1, sizeof(*s->dom));
	if (name) {
		snprintf(s->dom->name, sizeof(s->dom->name), "%s", name);
		s->dom->id = id;
		s->dom->defined = true;
		s->dom->paused = paused;
		s->dom->silent = !id;
		s->dom->uuid[0] = id ? 7 : 0;
		s->n = 1;
	}
	return s;
}

static void events(void **state)
{
	static const struct {
		const char *name;
		int32_t id;
		bool paused;
		const char *says; /* numbers of events */
	} story[] = {
		{ NULL, 0, false, "" },   { "g", 0, false, "" },   { "g", 5, false, "" },    { "g", -1, false, "5" },
		{ "g", 6, false, "2" },   { "g", 6, true, "3" },   { "g", 0, false, "" },    { "g", 6, true, "" },
		{ "g", 6, false, "4" },   { "g", 9, true, "523" }, { NULL, 0, false, "51" }, { "g", -1, false, "0" },
		{ "h", -1, false, "10" },
	};
	_cleanup_buf_ struct buf b = { 0 };
	int fd = client(cfg.socket);
	struct vd_header h;
	uint8_t p[1000];
	struct xdr x;

	(void)state;
	open_it(fd);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 0);
	say(fd, 0, VD_PROG_REMOTE, 316, VD_CALL, 2, &b);
	assert_int_equal(hear(fd, &h, p, sizeof(p)), VD_HEADER + 4);
	for (size_t i = 0; i < ARRAY_SIZE(story); i++) {
		vd_events_seen(server, VD_SYSTEM, seen(story[i].name, story[i].id, story[i].paused));
		server->watch[VD_SYSTEM].scanning = true; /* only we look */
		for (const char *want = story[i].says; *want; want++) {
			size_t len = hear(fd, &h, p, sizeof(p));

			assert_int_equal(h.procedure, 318);
			assert_int_equal(h.type, VD_MESSAGE);
			assert_int_equal(h.serial, 0);
			x = xdr_of(p + len - VD_HEADER - 8, 8);
			if ((char)('0' + xdr_u32(&x)) != *want)
				fail_msg("step %zu: not event %c", i, *want);
		}
	}
	/* no more than that: the next thing that it hears is an answer */
	say(fd, 0, VD_PROG_REMOTE, 59, VD_CALL, 3, NULL);
	assert_true(hear(fd, &h, p, sizeof(p)) > VD_HEADER);
	assert_int_equal(h.procedure, 59);
	close(fd);
}

static void configuration(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = { { "[]", "no object" },
		      { "{\"group\": 5}", "\"group\" has to be a text" },
		      { "{\"socket\": \"\"}", "\"socket\" has to be a text" },
		      { "{\"sokcet\": \"/x\"}", "\"sokcet\" is not known" },
		      { "{", "line" } };
	_cleanup_free_ char *path = xasprintf("%s/virtd.json", (char *)*state);
	struct vd_config c = { 0 };
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(file_write_atomic(path, wrong[i].text, strlen(wrong[i].text), 0600), 0);
		assert_int_equal(vd_config_load(NULL, &c, &err), -EINVAL);
		if (!strstr(err.text, wrong[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, wrong[i].says);
	}
	assert_int_equal(file_write_atomic(path, "{\n// yes\n\"socket\": \"/x/y\",\n}", 29, 0600), 0);
	assert_int_equal(vd_config_load(NULL, &c, &err), 0);
	assert_string_equal(c.socket, "/x/y");
	assert_string_equal(c.socket_ro, "/run/libvirt/virthospesd-sock-ro");
	vd_config_done(&c);
	assert_int_equal(vd_config_load("/nowhere/virtd.json", &c, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unknown_procedures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(read_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_arguments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hung_up_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keepalive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gone_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(configuration, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
