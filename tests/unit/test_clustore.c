/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state on disk: what is written comes back; corrupt, foreign, full and read-only disks do what docs say. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/io/store.h"
#include "common/util.h"

static char *dir, *path;
static struct clu_state *s;
static struct clu_cmd *cmd;
static char texts[64][32];

static const char *text_of(void *arg, uint32_t slot, size_t *ret_len)
{
	(void)arg;
	if (slot >= 64 || !texts[slot][0])
		return NULL;
	*ret_len = strlen(texts[slot]);
	return texts[slot];
}

static int setup(void **state)
{
	static uint32_t node[] = { 1, 2, 3 };
	static char name[3][CLU_NAME_MAX] = { "host-a", "host-b", "host-c" };

	(void)state;
	memset(texts, 0, sizeof(texts));
	dir = test_dir_new();
	path = xasprintf("%s/state.db", dir);
	s = calloc(1, sizeof(*s));
	cmd = calloc(1, sizeof(*cmd));
	clu_state_init(s, calloc(CLU_DOMS_MAX, sizeof(struct clu_dom)), CLU_DOMS_MAX);
	clu_nodes_set(s, node, name, 3);
	clu_apply_epoch(s, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(s->dom);
	free(s);
	free(cmd);
	free(path);
	test_dir_remove(dir);
	return 0;
}

/* Define domain number @i. */
static void define(unsigned i, struct clu_changes *ch)
{
	struct clu_answer a;

	memset(cmd, 0, sizeof(*cmd));
	cmd->kind = CLU_CMD_DEFINE;
	cmd->origin = 1;
	snprintf(cmd->uuid, sizeof(cmd->uuid), "00000000-0000-0000-0000-%012u", i);
	snprintf(cmd->name, sizeof(cmd->name), "d%u", i);
	cmd->spec = (struct clu_spec){ .mem_bytes = 1 << 28, .vcpus = 1, .engine = 1 };
	clu_apply(s, cmd, ch, &a);
	assert_int_equal(a.status, 0);
	if (i < 64)
		snprintf(texts[i], sizeof(texts[i]), "<domain>%u@%llu</domain>", i, (unsigned long long)s->index);
}

static void undefine(unsigned i, struct clu_changes *ch)
{
	struct clu_answer a;

	memset(cmd, 0, sizeof(*cmd));
	cmd->kind = CLU_CMD_UNDEFINE;
	snprintf(cmd->uuid, sizeof(cmd->uuid), "00000000-0000-0000-0000-%012u", i);
	clu_apply(s, cmd, ch, &a);
	assert_int_equal(a.status, 0);
}

struct got {
	unsigned n;
	char text[64][32];
};

static int take_text(void *arg, uint64_t id, const char *xml, size_t len)
{
	struct got *g = arg;

	assert_true(id && len < sizeof(g->text[0]) && g->n < 64);
	memcpy(g->text[g->n], xml, len);
	g->text[g->n++][len] = 0;
	return 0;
}

/* Open anew and compare with @s. */
static void expect_loaded(unsigned n_texts)
{
	struct clu_state *t = calloc(1, sizeof(*t));
	struct store *st = NULL;
	struct got g = { 0 };
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];

	clu_state_init(t, calloc(CLU_DOMS_MAX, sizeof(struct clu_dom)), CLU_DOMS_MAX);
	if (store_open(path, "acme", &st, aside, &err) < 0 || store_load(st, t, take_text, &g, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(aside, "");
	assert_int_equal(t->sum, s->sum);
	assert_int_equal(t->index, s->index);
	assert_int_equal(t->epoch, s->epoch);
	assert_int_equal(t->promised, s->promised);
	assert_int_equal(g.n, n_texts);
	store_close(st);
	free(t->dom);
	free(t);
}

static struct store *open_ok(void)
{
	struct store *st = NULL;
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];

	if (store_open(path, "acme", &st, aside, &err) < 0)
		fail_msg("%s", err.text);
	return st;
}

static int save(struct store *st, const struct clu_changes *c, struct err *err)
{
	struct store_batch *b = store_pack(st, s, c, text_of, NULL);
	int r = b ? store_write(st, b, err) : -ENOMEM;

	store_batch_free(b);
	return r;
}

static void test_round(void **state)
{
	struct store *st = open_ok();
	struct clu_changes ch = { .all = true };
	struct err err;
	(void)state;

	s->promised = 7;
	assert_int_equal(save(st, &ch, &err), 0);
	for (unsigned i = 0; i < 40; i++) { /* one transaction each, only what changed */
		ch = (struct clu_changes){ 0 };
		define(i, &ch);
		assert_int_equal(ch.n, 1);
		assert_int_equal(save(st, &ch, &err), 0);
	}
	ch = (struct clu_changes){ 0 };
	define(3, &ch); /* anew: another text in its place */
	undefine(5, &ch);
	assert_int_equal(save(st, &ch, &err), 0);
	store_close(st);
	texts[5][0] = 0;
	/* the text of an undefined domain stays behind in its slot until that is used again: it belongs to nobody */
	expect_loaded(40);
	st = open_ok();
	ch = (struct clu_changes){ .all = true };
	assert_int_equal(save(st, &ch, &err), 0);
	store_close(st);
	expect_loaded(39);
}

struct events {
	unsigned n;
	uint64_t last;
};
static void take_event(void *arg, const struct store_event *ev)
{
	struct events *e = arg;

	e->n++;
	assert_true(ev->id > e->last);
	e->last = ev->id;
	assert_string_equal(ev->kind, "start");
	assert_string_equal(ev->host, "host-b");
}

static void test_events(void **state)
{
	struct store *st = open_ok();
	struct clu_changes ch = { .all = true };
	struct events e = { 0 };
	struct err err;
	(void)state;

	for (uint64_t i = 1; i <= 3; i++)
		store_note(st, &(struct store_event){ .index = i,
		                                      .time_ns = 5,
		                                      .kind = "start",
		                                      .text = "x",
		                                      .domain = "d",
		                                      .host = "host-b" });
	assert_int_equal(store_events(st, 0, 0, 100, take_event, &e, &err), 0);
	assert_int_equal(e.n, 0); /* not written yet */
	assert_int_equal(save(st, &ch, &err), 0);
	assert_int_equal(store_events(st, 0, 0, 100, take_event, &e, &err), 0);
	assert_int_equal(e.n, 3);
	e = (struct events){ 0 };
	assert_int_equal(store_events(st, 1, 2, 100, take_event, &e, &err), 0);
	assert_int_equal(e.n, 1);
	/* bounded */
	for (unsigned round = 0; round < 4; round++) {
		for (uint64_t i = 0; i < 3000; i++)
			store_note(st, &(struct store_event){ .index = 10 + i,
			                                      .kind = "start",
			                                      .text = "",
			                                      .domain = "",
			                                      .host = "host-b" });
		assert_int_equal(save(st, &ch, &err), 0);
	}
	e = (struct events){ 0 };
	assert_int_equal(store_events(st, 0, 0, 100000, take_event, &e, &err), 0);
	assert_int_equal(e.n, STORE_EVENTS_MAX);
	store_close(st);
}

static unsigned count_aside(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += strstr(e->d_name, ".corrupt-") && !strstr(e->d_name, "-wal") && !strstr(e->d_name, "-shm");
	closedir(d);
	return n;
}

static void fill(void)
{
	struct store *st = open_ok();
	struct clu_changes ch = { .all = true };
	struct err err;

	for (unsigned i = 0; i < 30; i++)
		define(i, &ch);
	assert_int_equal(save(st, &ch, &err), 0);
	store_close(st);
}

/* However a file is broken: it is kept beside, the store is empty and usable. */
static void expect_fresh(const char *what, unsigned want_aside)
{
	struct clu_state *t = calloc(1, sizeof(*t));
	struct store *st = NULL;
	struct got g = { 0 };
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];

	clu_state_init(t, calloc(CLU_DOMS_MAX, sizeof(struct clu_dom)), CLU_DOMS_MAX);
	if (store_open(path, "acme", &st, aside, &err) < 0)
		fail_msg("%s: %s", what, err.text);
	int r = store_load(st, t, take_text, &g, &err);
	if (r == -EILSEQ)
		r = store_discard(st, aside, &err);
	if (r < 0 || !strstr(aside, ".corrupt-"))
		fail_msg("%s: %d %s / %s", what, r, err.text, aside);
	assert_int_equal(count_aside(), want_aside);
	struct clu_changes ch = { .all = true };
	assert_int_equal(save(st, &ch, &err), 0);
	store_close(st);
	free(t->dom);
	free(t);
	expect_loaded(30);
}

static void overwrite(size_t at, const void *p, size_t len)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0 && pwrite(fd, p, len, (off_t)at) == (ssize_t)len);
	close(fd);
}

static void sql(const char *text)
{
	_cleanup_free_ char *line = xasprintf("sqlite3 %s \"%s\"", path, text);

	if (system(line) != 0)
		fail_msg("%s", line);
}

static void test_corrupt(void **state)
{
	uint8_t junk[16384];
	(void)state;

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)(i * 31 + 7);
	fill();
	overwrite(0, junk, sizeof(junk));
	expect_fresh("no database at all", 1);
	overwrite(4096, junk, 4096);
	expect_fresh("a page of junk", 2);
	assert_int_equal(truncate(path, 5000), 0);
	expect_fresh("cut short", 3);
	if (system("command -v sqlite3 >/dev/null") != 0)
		return; /* the rest needs it to make well-formed nonsense */
	sql("UPDATE obj SET record = x'0102' WHERE kind = 2 AND slot = 4");
	expect_fresh("a record that is none", 4);
	sql("DELETE FROM obj WHERE kind = 2 AND slot = 4");
	expect_fresh("a record that is missing", 5);
	sql("UPDATE meta SET value = '9' WHERE key = 'format'");
	expect_fresh("a format of the future", 6);
	sql("UPDATE meta SET value = 'other' WHERE key = 'cluster'");
	expect_fresh("another cluster's", 7);
}

static void test_second(void **state)
{
	struct store *st = open_ok(), *other = NULL;
	struct clu_changes ch = { .all = true };
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];
	(void)state;

	assert_int_equal(save(st, &ch, &err), 0);
	assert_int_equal(store_open(path, "acme", &other, aside, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another clusterd"));
	assert_int_equal(count_aside(), 0);
	store_close(st);
}

/* In a child with a mount namespace of its own: a tmpfs that gets full, then writable again, then read-only. */
static int full_disk(void)
{
	_cleanup_free_ char *ballast = xasprintf("%s/ballast", dir);
	struct store *st = NULL;
	struct clu_changes ch = { .all = true };
	struct err err = { 0 };
	char junk[4096] = "x";
	unsigned n = 0;
	int fd, r = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=600k") < 0)
		return 77;
	st = open_ok();
	assert_int_equal(save(st, &ch, &err), 0);
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	while (write(fd, junk, sizeof(junk)) > 0)
		;
	close(fd);
	while (r == 0 && n < 500) { /* what is in the log already may still take a while */
		ch = (struct clu_changes){ 0 };
		define(n++, &ch);
		r = save(st, &ch, &err);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "free disk space"));
	assert_int_equal(save(st, &ch, &err), -ENOSPC); /* and again: nothing is left half done */
	assert_int_equal(unlink(ballast), 0);
	ch = (struct clu_changes){ .all = true };
	if (save(st, &ch, &err) < 0)
		fail_msg("with room again: %s", err.text);
	store_close(st);
	expect_loaded(n < 64 ? n : 64);
	return 0;
}

static void test_full(void **state)
{
	int status = 0;
	(void)state;

	if (geteuid() != 0)
		skip();
	pid_t pid = fork();
	if (!pid)
		_exit(full_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no mount namespace here */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_read_only(void **state)
{
	struct store *st = NULL;
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];
	(void)state;

	free(path);
	path = xasprintf("%s/no/such/dir/state.db", dir);
	assert_int_equal(store_open(path, "acme", &st, aside, &err), -EACCES);
	assert_non_null(strstr(err.text, path));
}

static void test_alloc(void **state)
{
	struct store *st = NULL;
	struct err err = { 0 };
	char aside[ERR_TEXT_MAX];
	int r = 0;
	(void)state;

	FOR_EACH_ALLOC_FAILURE(r = store_open(path, "acme", &st, aside, &err))
	{
		assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
		if (r == 0)
			store_close(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_corrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alloc, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
