/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state on disk: see store.h. */
#include "config.h"
#include "clusterd/io/store.h"
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "common/buf.h"
#include "common/util.h"

#define FORMAT    "1"
#define XML_MAX   (1u << 20)
#define NOTED_MAX 4096u

struct noted {
	struct noted *next;
	uint64_t index, time_ns;
	char kind[32], domain[CLU_NAME_MAX], host[CLU_NAME_MAX], text[2 * CLU_TEXT_MAX];
};

/* One record, or none in its place (len 0); with the text of its domain when the disk lacks that one. */
struct packed {
	uint8_t kind;
	uint32_t slot;
	size_t at, len;           /* of the record, in `octets` */
	size_t text_at, text_len; /* of the text; text_len 0: none */
	uint64_t text_id;
};

struct store_batch {
	bool all;
	bool failed; /* out of memory while it was put together */
	struct buf octets;
	struct packed *p;
	uint32_t n, cap;
	struct noted *noted;
};

enum stmt { PUT_OBJ, DEL_OBJ, PUT_XML, PUT_EVENT, N_STMTS };

struct store {
	sqlite3 *db;
	char *path, *cluster;
	sqlite3_stmt *stmt[N_STMTS];
	struct noted *noted, **noted_end;
	uint32_t n_noted;
	uint64_t xml_id[CLU_DOMS_MAX]; /* of the text on disk for this slot; 0: none */
};

static int errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
		return -EILSEQ;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static int fail(const struct store *st, int rc, const char *doing, struct err *err)
{
	int r = errno_of(rc);

	return err_set(err, r < 0 ? r : -EIO, "%s %s: %s%s", doing, st->path,
	               st->db ? sqlite3_errmsg(st->db) : sqlite3_errstr(rc),
	               r == -ENOSPC  ? ": free disk space there"
	               : r == -EBUSY ? ": another clusterd uses it"
	               : r == -EROFS ? ": make it writable"
	                             : "");
}

static int run(struct store *st, const char *sql, const char *doing, struct err *err)
{
	int rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(st, rc, doing, err);
}

/* One row, one column of text into @ret; "" when there is no row. */
static int one_text(struct store *st, const char *sql, char *ret, size_t cap, struct err *err)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, sql, -1, &q, NULL);

	*ret = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW && sqlite3_column_text(q, 0))
		snprintf(ret, cap, "%s", (const char *)sqlite3_column_text(q, 0));
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		rc = SQLITE_OK;
	else
		rc = fail(st, rc, "read", err);
	(void)sqlite3_finalize(q);
	return rc;
}

static void close_db(struct store *st)
{
	for (unsigned i = 0; i < N_STMTS; i++) {
		(void)sqlite3_finalize(st->stmt[i]);
		st->stmt[i] = NULL;
	}
	if (st->db)
		(void)sqlite3_close(st->db);
	st->db = NULL;
}

static int prepare_all(struct store *st, struct err *err)
{
	static const char *const sql[N_STMTS] = {
		[PUT_OBJ] = "INSERT OR REPLACE INTO obj(kind, slot, record) VALUES(?1, ?2, ?3)",
		[DEL_OBJ] = "DELETE FROM obj WHERE kind = ?1 AND slot = ?2",
		[PUT_XML] = "INSERT OR REPLACE INTO xml(slot, id, text) VALUES(?1, ?2, ?3)",
		[PUT_EVENT] = "INSERT INTO events(idx, time, kind, text, domain, host) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	};

	for (unsigned i = 0; i < N_STMTS; i++) {
		int rc = sqlite3_prepare_v3(st->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &st->stmt[i], NULL);

		if (rc != SQLITE_OK)
			return fail(st, rc, "prepare", err);
	}
	return 0;
}

/* The tables of a new file; of an old one: that it is whole and this cluster's. -EILSEQ: neither. */
static int check_or_create(struct store *st, struct err *err)
{
	char text[128];
	int r = run(st,
	            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	            "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 1048576",
	            "open", err);

	if (r == 0)
		r = one_text(st, "PRAGMA quick_check(1)", text, sizeof(text), err);
	if (r == 0 && strcmp(text, "ok"))
		r = err_set(err, EILSEQ, "%s is damaged: %s", st->path, text);
	if (r == 0)
		r = run(st,
		        "BEGIN IMMEDIATE;"
		        "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
		        "CREATE TABLE IF NOT EXISTS obj(kind INTEGER, slot INTEGER, record BLOB, PRIMARY KEY(kind, slot)) WITHOUT ROWID;"
		        "CREATE TABLE IF NOT EXISTS xml(slot INTEGER PRIMARY KEY, id INTEGER, text BLOB);"
		        "CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, idx INTEGER, time INTEGER, kind TEXT, text TEXT,"
		        " domain TEXT, host TEXT);"
		        "INSERT OR IGNORE INTO meta VALUES('format', '" FORMAT "');"
		        "COMMIT",
		        "set up", err);
	if (r == 0)
		r = one_text(st, "SELECT value FROM meta WHERE key = 'format'", text, sizeof(text), err);
	if (r == 0 && strcmp(text, FORMAT))
		return err_set(err, EILSEQ, "%s has format %.20s, this clusterd knows " FORMAT, st->path, text);
	if (r == 0)
		r = one_text(st, "SELECT value FROM meta WHERE key = 'cluster'", text, sizeof(text), err);
	if (r == 0 && text[0] && strcmp(text, st->cluster))
		return err_set(err, EILSEQ, "%s is of cluster \"%.60s\", not of \"%.60s\"", st->path, text,
		               st->cluster);
	if (r == 0 && !text[0]) {
		char *sql = sqlite3_mprintf("INSERT INTO meta VALUES('cluster', %Q)", st->cluster);

		r = sql ? run(st, sql, "set up", err) : err_sys(err, ENOMEM, "set up %s", st->path);
		sqlite3_free(sql);
	}
	return r == 0 ? prepare_all(st, err) : r;
}

static int open_db(struct store *st, struct err *err)
{
	int rc = sqlite3_open_v2(st->path, &st->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
	                         NULL);
	int r = rc == SQLITE_OK ? 0 : fail(st, rc, "open", err);

	if (r == 0) {
		(void)chmod(st->path, 0600);
		(void)sqlite3_extended_result_codes(st->db, 1);
		r = check_or_create(st, err);
	}
	if (r < 0)
		close_db(st);
	return r;
}

static int move_aside(struct store *st, const char *why, char *ret_aside, struct err *err)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	uint64_t t = (uint64_t)time(NULL);
	_cleanup_free_ char *base = NULL;

	for (unsigned n = 0;; n++) { /* never over an older one */
		base = n ? xasprintf("%s.corrupt-%" PRIu64 ".%u", st->path, t, n)
		         : xasprintf("%s.corrupt-%" PRIu64, st->path, t);
		struct stat sb;

		if (lstat(base, &sb) < 0)
			break;
		free(steal_ptr(&base));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(suffix); i++) {
		_cleanup_free_ char *from = xasprintf("%s%s", st->path, suffix[i]),
				    *to = xasprintf("%s%s", base, suffix[i]);

		if (rename(from, to) < 0 && errno != ENOENT)
			return err_sys(err, errno, "move %s aside", from);
	}
	snprintf(ret_aside, ERR_TEXT_MAX, "%.300s; moved to %.150s, this node begins empty", why, base);
	return 0;
}

int store_discard(struct store *st, char *ret_aside, struct err *err)
{
	struct err why = { .text = "" };

	(void)err_set(&why, EILSEQ, "the records in %s make no sense", st->path);
	close_db(st);
	memset(st->xml_id, 0, sizeof(st->xml_id));
	int r = move_aside(st, why.text, ret_aside, err);

	return r < 0 ? r : open_db(st, err);
}

int store_open(const char *path, const char *cluster, struct store **ret, char *ret_aside, struct err *err)
{
	struct store *st = calloc(1, sizeof(*st));
	struct err first = { 0 };
	int r;

	*ret_aside = 0;
	if (!st)
		return err_sys(err, ENOMEM, "open %s", path);
	st->path = strdup(path);
	st->cluster = strdup(cluster);
	st->noted_end = &st->noted;
	if (!st->path || !st->cluster) {
		store_close(st);
		return err_sys(err, ENOMEM, "open %s", path);
	}
	r = open_db(st, &first);
	if (r == -EILSEQ) {
		r = move_aside(st, first.text, ret_aside, err);
		if (r == 0)
			r = open_db(st, err);
	} else if (r < 0) {
		r = err_set(err, r, "%s", first.text);
	}
	if (r < 0) {
		store_close(st);
		return r;
	}
	*ret = st;
	return 0;
}

static void free_noted(struct noted *list)
{
	while (list) {
		struct noted *n = list;

		list = n->next;
		free(n);
	}
}

void store_close(struct store *st)
{
	if (!st)
		return;
	free_noted(st->noted);
	close_db(st);
	free(st->path);
	free(st->cluster);
	free(st);
}

/* Reading -------------------------------------------------------------------------------------------------------------- */

static int load_records(struct store *st, struct clu_state *s, struct err *err)
{
	sqlite3_stmt *q = NULL;
	/* META first: it says how many slots there are */
	int rc = sqlite3_prepare_v2(st->db, "SELECT kind, slot, record FROM obj ORDER BY kind, slot", -1, &q, NULL),
	    r = 0;
	uint32_t n = 0;

	while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		sqlite3_int64 kind = sqlite3_column_int64(q, 0), slot = sqlite3_column_int64(q, 1);

		rc = SQLITE_OK;
		if (kind >= 0 && kind <= CLU_OBJ_LAST && slot >= 0 && slot <= CLU_DOMS_MAX)
			r = clu_record_unpack(s, (enum clu_object)kind, (uint32_t)slot, sqlite3_column_blob(q, 2),
			                      (size_t)sqlite3_column_bytes(q, 2));
		else
			r = -EILSEQ;
		if (r == -EPROTONOSUPPORT)
			r = err_set(
				err, EPROTONOSUPPORT,
				"%s is of a later version of Hospes, which the whole cluster has by now: install that here, too "
				"(%s/upgrade.md)",
				st->path, path_doc());
		else if (r < 0)
			r = err_set(err, EILSEQ, "%s: record %d of kind %d makes no sense", st->path, (int)slot,
			            (int)kind);
		n++;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = fail(st, rc, "read", err);
	(void)sqlite3_finalize(q);
	if (r == 0 && n && clu_sum(s) != s->sum)
		r = err_set(err, EILSEQ, "%s: the records do not fit together (another sum)", st->path);
	return r;
}

static int load_texts(struct store *st, int (*text)(void *arg, uint64_t id, const char *xml, size_t len), void *arg,
                      struct err *err)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, "SELECT slot, id, text FROM xml", -1, &q, NULL), r = 0;

	while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		sqlite3_int64 slot = sqlite3_column_int64(q, 0);
		int len = sqlite3_column_bytes(q, 2);

		rc = SQLITE_OK;
		if (slot < 0 || slot >= CLU_DOMS_MAX || len <= 0 || len > (int)XML_MAX) {
			r = err_set(err, EILSEQ, "%s: a definition of %d octets", st->path, len);
			break;
		}
		st->xml_id[slot] = (uint64_t)sqlite3_column_int64(q, 1);
		r = text(arg, st->xml_id[slot], sqlite3_column_blob(q, 2), (size_t)len);
		if (r < 0)
			r = err_sys(err, r, "read %s", st->path);
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = fail(st, rc, "read", err);
	(void)sqlite3_finalize(q);
	return r;
}

int store_load(struct store *st, struct clu_state *s, int (*text)(void *arg, uint64_t id, const char *xml, size_t len),
               void *arg, struct err *err)
{
	int r = load_records(st, s, err);

	return r < 0 ? r : load_texts(st, text, arg, err);
}

int store_events(struct store *st, uint64_t since, uint64_t after, uint32_t max,
                 void (*fn)(void *arg, const struct store_event *ev), void *arg, struct err *err)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(
		st->db,
		"SELECT idx, time, kind, text, domain, host, id FROM events WHERE idx > ?1 AND id > ?3 ORDER BY id LIMIT ?2",
		-1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(q, 1, (sqlite3_int64)since);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(q, 2, max);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(q, 3, (sqlite3_int64)after);
	while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		const char *t[4];
		struct store_event ev = { .index = (uint64_t)sqlite3_column_int64(q, 0),
			                  .time_ns = (uint64_t)sqlite3_column_int64(q, 1),
			                  .id = (uint64_t)sqlite3_column_int64(q, 6) };

		for (int i = 0; i < 4; i++) {
			t[i] = (const char *)sqlite3_column_text(q, 2 + i);
			if (!t[i])
				t[i] = "";
		}
		ev.kind = t[0], ev.text = t[1], ev.domain = t[2], ev.host = t[3];
		fn(arg, &ev);
		rc = SQLITE_OK;
	}
	rc = rc == SQLITE_DONE ? 0 : fail(st, rc, "read", err);
	(void)sqlite3_finalize(q);
	return rc;
}

/* Noting --------------------------------------------------------------------------------------------------------------- */

void store_note(struct store *st, const struct store_event *ev)
{
	struct noted *n = st->n_noted < NOTED_MAX ? calloc(1, sizeof(*n)) : NULL;

	if (!n)
		return;
	n->index = ev->index, n->time_ns = ev->time_ns;
	snprintf(n->kind, sizeof(n->kind), "%s", ev->kind);
	snprintf(n->text, sizeof(n->text), "%s", ev->text);
	text_tidy(n->text);
	snprintf(n->domain, sizeof(n->domain), "%s", ev->domain);
	snprintf(n->host, sizeof(n->host), "%s", ev->host);
	*st->noted_end = n;
	st->noted_end = &n->next;
	st->n_noted++;
}

/* Packing: no disk is touched ------------------------------------------------------------------------------------------- */

static void pack_text(struct store *st, struct store_batch *b, struct packed *p, const struct clu_dom *d,
                      store_text_fn *text, void *arg)
{
	size_t len = 0;
	const char *xml;

	if (!d->uuid[0] || !d->xml_id || st->xml_id[p->slot] == d->xml_id)
		return;
	xml = text(arg, p->slot, &len);
	if (!xml)
		return; /* that of a host that is behind comes with its snapshot */
	p->text_at = b->octets.len;
	p->text_len = len;
	p->text_id = d->xml_id;
	buf_put(&b->octets, xml, len);
	st->xml_id[p->slot] = d->xml_id; /* a write that fails forgets all of them */
}

static void pack_record(struct store *st, struct store_batch *b, const struct clu_state *s, enum clu_object kind,
                        uint32_t slot, store_text_fn *text, void *arg)
{
	uint8_t octets[CLU_RECORD_MAX];
	struct packed *p;

	if (b->n == b->cap) {
		uint32_t cap = b->cap ? b->cap * 2 : 16;

		p = reallocarray(b->p, cap, sizeof(*p));
		if (!p) {
			b->failed = true;
			return;
		}
		b->p = p;
		b->cap = cap;
	}
	p = &b->p[b->n++];
	*p = (struct packed){ .kind = (uint8_t)kind, .slot = slot, .at = b->octets.len };
	p->len = clu_record_pack(s, kind, slot, octets);
	buf_put(&b->octets, octets, p->len);
	if (kind == CLU_OBJ_DOM)
		pack_text(st, b, p, &s->dom[slot], text, arg);
}

static void pack_all(struct store *st, struct store_batch *b, const struct clu_state *s, store_text_fn *text, void *arg)
{
	memset(st->xml_id, 0, sizeof(st->xml_id));
	pack_record(st, b, s, CLU_OBJ_POLICY, 0, text, arg);
	pack_record(st, b, s, CLU_OBJ_DISARM, 0, text, arg);
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		if (s->host[i].node)
			pack_record(st, b, s, CLU_OBJ_HOST, i, text, arg);
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++)
		if (s->rule[i].id)
			pack_record(st, b, s, CLU_OBJ_RULE, i, text, arg);
	for (uint32_t i = 0; i < s->n_dom; i++)
		if (s->dom[i].uuid[0])
			pack_record(st, b, s, CLU_OBJ_DOM, i, text, arg);
}

struct store_batch *store_pack(struct store *st, const struct clu_state *s, const struct clu_changes *c,
                               store_text_fn *text, void *arg)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->all = c->all;
	if (c->all)
		pack_all(st, b, s, text, arg);
	else
		for (uint32_t i = 0; i < c->n; i++)
			if (c->c[i].kind != CLU_OBJ_META)
				pack_record(st, b, s, c->c[i].kind, c->c[i].slot, text, arg);
	pack_record(st, b, s, CLU_OBJ_META, 0, text, arg);
	if (b->failed || b->octets.failed) {
		memset(st->xml_id, 0, sizeof(st->xml_id));
		store_batch_free(b);
		return NULL;
	}
	b->noted = st->noted;
	st->noted = NULL;
	st->noted_end = &st->noted;
	st->n_noted = 0;
	return b;
}

void store_batch_free(struct store_batch *b)
{
	if (!b)
		return;
	free_noted(b->noted);
	buf_done(&b->octets);
	free(b->p);
	free(b);
}

/* Writing -------------------------------------------------------------------------------------------------------------- */

static int step_once(struct store *st, enum stmt which, struct err *err)
{
	int rc = sqlite3_step(st->stmt[which]);
	int r = rc == SQLITE_DONE ? 0 : fail(st, rc, "write", err);

	(void)sqlite3_reset(st->stmt[which]);
	(void)sqlite3_clear_bindings(st->stmt[which]);
	return r;
}

static int put_text(struct store *st, const struct store_batch *b, const struct packed *p, struct err *err)
{
	sqlite3_stmt *q = st->stmt[PUT_XML];

	if (sqlite3_bind_int64(q, 1, p->slot) != SQLITE_OK ||
	    sqlite3_bind_int64(q, 2, (sqlite3_int64)p->text_id) != SQLITE_OK ||
	    sqlite3_bind_blob(q, 3, b->octets.data + p->text_at, (int)p->text_len, SQLITE_STATIC) != SQLITE_OK)
		return err_sys(err, ENOMEM, "write %s", st->path);
	return step_once(st, PUT_XML, err);
}

static int put_record(struct store *st, const struct store_batch *b, const struct packed *p, struct err *err)
{
	enum stmt which = p->len ? PUT_OBJ : DEL_OBJ;
	sqlite3_stmt *q = st->stmt[which];

	if (sqlite3_bind_int64(q, 1, p->kind) != SQLITE_OK || sqlite3_bind_int64(q, 2, p->slot) != SQLITE_OK ||
	    (p->len && sqlite3_bind_blob(q, 3, b->octets.data + p->at, (int)p->len, SQLITE_STATIC) != SQLITE_OK))
		return err_sys(err, ENOMEM, "write %s", st->path);
	int r = step_once(st, which, err);
	return r == 0 && p->text_len ? put_text(st, b, p, err) : r;
}

static int put_events(struct store *st, const struct store_batch *b, struct err *err)
{
	sqlite3_stmt *q = st->stmt[PUT_EVENT];
	int r = 0;

	for (const struct noted *n = b->noted; r == 0 && n; n = n->next) {
		if (sqlite3_bind_int64(q, 1, (sqlite3_int64)n->index) != SQLITE_OK ||
		    sqlite3_bind_int64(q, 2, (sqlite3_int64)n->time_ns) != SQLITE_OK ||
		    sqlite3_bind_text(q, 3, n->kind, -1, SQLITE_STATIC) != SQLITE_OK ||
		    sqlite3_bind_text(q, 4, n->text, -1, SQLITE_STATIC) != SQLITE_OK ||
		    sqlite3_bind_text(q, 5, n->domain, -1, SQLITE_STATIC) != SQLITE_OK ||
		    sqlite3_bind_text(q, 6, n->host, -1, SQLITE_STATIC) != SQLITE_OK)
			return err_sys(err, ENOMEM, "write %s", st->path);
		r = step_once(st, PUT_EVENT, err);
	}
	if (r == 0 && b->noted) {
		char sql[120];

		snprintf(sql, sizeof(sql), "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - %u",
		         STORE_EVENTS_MAX);
		r = run(st, sql, "write", err);
	}
	return r;
}

static int put_batch(struct store *st, const struct store_batch *b, struct err *err)
{
	int r = b->all ? run(st, "DELETE FROM obj; DELETE FROM xml", "write", err) : 0;

	for (uint32_t i = 0; r == 0 && i < b->n; i++)
		r = put_record(st, b, &b->p[i], err);
	return r == 0 ? put_events(st, b, err) : r;
}

int store_write(struct store *st, const struct store_batch *b, struct err *err)
{
	int r = run(st, "BEGIN IMMEDIATE", "write", err);

	if (r == 0) {
		r = put_batch(st, b, err);
		if (r == 0)
			r = run(st, "COMMIT", "write", err);
		if (r < 0)
			(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	}
	if (r < 0)
		memset(st->xml_id, 0, sizeof(st->xml_id)); /* what is on disk is not known any more: write texts anew */
	return r;
}
