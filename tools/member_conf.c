/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See member_conf.h. corosync.conf(5) is a format of lines: "section {", "key: value", "}", "# comment". */
#include "config.h"
#include "tools/member_conf.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/buf.h"
#include "common/util.h"

#define DEPTH_MAX 8u

enum line_kind { LINE_OTHER, LINE_OPEN, LINE_CLOSE, LINE_KEY };

/* A walk over the lines of a file. */
struct walk {
	const char *line, *next; /* the present line, and what follows it */
	unsigned number, depth;
	char section[DEPTH_MAX][32]; /* those that are open */
	enum line_kind kind;
	char key[64], value[256];
};

static void copy(char *to, size_t cap, const char *from, size_t len)
{
	while (len && isspace((unsigned char)from[len - 1]))
		len--;
	while (len && isspace((unsigned char)*from))
		from++, len--;
	if (len >= cap)
		len = cap - 1;
	memcpy(to, from, len);
	to[len] = 0;
}

static int push(struct walk *w, const char *name, size_t len, struct err *err)
{
	if (w->depth == DEPTH_MAX)
		return err_set(err, EINVAL, "corosync.conf, line %u: sections in sections in sections", w->number);
	copy(w->section[w->depth++], sizeof(w->section[0]), name, len);
	w->kind = LINE_OPEN;
	return 0;
}

/* The next line. 1: there is one; 0: the end; -errno. */
static int step(struct walk *w, struct err *err)
{
	const char *p, *end, *mark;

	w->line = w->next;
	if (!*w->line)
		return w->depth ? err_set(err, EINVAL, "corosync.conf ends inside of %s", w->section[w->depth - 1]) : 0;
	end = w->line + strcspn(w->line, "\n");
	w->next = *end ? end + 1 : end;
	w->number++;
	w->kind = LINE_OTHER;
	p = w->line;
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (p == end || *p == '#')
		return 1;
	if (*p == '}') {
		if (!w->depth)
			return err_set(err, EINVAL, "corosync.conf, line %u: a } too many", w->number);
		w->kind = LINE_CLOSE; /* the section is popped by the next step of the reader, see popped() */
		return 1;
	}
	mark = memchr(p, '{', (size_t)(end - p));
	if (mark) {
		int r = push(w, p, (size_t)(mark - p), err);
		return r < 0 ? r : 1;
	}
	mark = memchr(p, ':', (size_t)(end - p));
	if (!mark)
		return err_set(err, EINVAL, "corosync.conf, line %u: neither a section nor \"key: value\"", w->number);
	copy(w->key, sizeof(w->key), p, (size_t)(mark - p));
	copy(w->value, sizeof(w->value), mark + 1, (size_t)(end - mark - 1));
	w->kind = LINE_KEY;
	return 1;
}

/* Is the walk directly in section @a, or in @b of @a? */
static bool in(const struct walk *w, const char *a, const char *b)
{
	return w->depth == (b ? 2u : 1u) && !strcmp(w->section[0], a) && (!b || !strcmp(w->section[1], b));
}

static int number(const struct walk *w, uint64_t max, uint64_t *ret, struct err *err)
{
	char *end;

	errno = 0;
	uint64_t n = strtoull(w->value, &end, 10);
	if (errno || *end || !isdigit((unsigned char)w->value[0]) || n > max)
		return err_set(err, EINVAL, "corosync.conf, line %u: %s is no number that fits", w->number, w->key);
	*ret = n;
	return 0;
}

static int text(const struct walk *w, char *to, size_t cap, struct err *err)
{
	if (strlen(w->value) >= cap)
		return err_set(err, EINVAL, "corosync.conf, line %u: %s is too long", w->number, w->key);
	strcpy(to, w->value);
	return 0;
}

static int node_key(const struct walk *w, struct conf_node *n, struct err *err)
{
	uint64_t id;

	if (!strcmp(w->key, "nodeid")) {
		int r = number(w, UINT32_MAX, &id, err);
		n->id = r < 0 ? 0 : (uint32_t)id;
		return r;
	}
	if (!strcmp(w->key, "name"))
		return text(w, n->name, sizeof(n->name), err);
	for (unsigned i = 0; i < CONF_ADDRS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "ring%u_addr", i);
		if (!strcmp(w->key, key))
			return text(w, n->addr[i], sizeof(n->addr[i]), err);
	}
	return 0;
}

static int node_end(struct conf *c, const struct conf_node *n, struct err *err)
{
	if (!n->id || !name_is_valid(n->name) || !n->addr[0][0])
		return err_set(err, EINVAL,
		               "corosync.conf: each node needs nodeid, name and ring0_addr; node %u (%s) has not",
		               c->n + 1, n->name);
	for (unsigned i = 0; i < c->n; i++)
		if (c->node[i].id == n->id || !strcmp(c->node[i].name, n->name))
			return err_set(err, EINVAL, "corosync.conf: two nodes %s, or two with id %u", n->name, n->id);
	if (c->n == CONF_NODES_MAX)
		return err_set(err, EINVAL, "corosync.conf: more than %u nodes", CONF_NODES_MAX);
	c->node[c->n++] = *n;
	return 0;
}

static int key_of(const struct walk *w, struct conf *c, struct conf_node *n, struct err *err)
{
	if (in(w, "totem", NULL) && !strcmp(w->key, "cluster_name"))
		return text(w, c->cluster, sizeof(c->cluster), err);
	if (in(w, "totem", NULL) && !strcmp(w->key, "config_version"))
		return number(w, UINT32_MAX, &c->version, err);
	if (in(w, "quorum", NULL) && !strcmp(w->key, "two_node"))
		c->unusable |= strcmp(w->value, "0") != 0;
	return in(w, "nodelist", "node") ? node_key(w, n, err) : 0;
}

int conf_parse(const char *conf, struct conf *ret, struct err *err)
{
	struct walk w = { .next = conf };
	struct conf_node n = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret));
	while ((r = step(&w, err)) > 0) {
		if (w.kind == LINE_OPEN && in(&w, "nodelist", "node"))
			n = (struct conf_node){ 0 };
		ret->unusable |= w.kind == LINE_OPEN && in(&w, "quorum", "device");
		if (w.kind == LINE_KEY)
			r = key_of(&w, ret, &n, err);
		else if (w.kind == LINE_CLOSE && in(&w, "nodelist", "node"))
			r = node_end(ret, &n, err);
		if (r < 0)
			return r;
		w.depth -= w.kind == LINE_CLOSE;
	}
	ret->sample = !strcmp(ret->cluster, "debian") && ret->n <= 1 &&
	              (!ret->n || !strcmp(ret->node[0].addr[0], "127.0.0.1"));
	return r;
}

const struct conf_node *conf_named(const struct conf *c, const char *name)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(c->node[i].name, name))
			return &c->node[i];
	return NULL;
}

static void put_node(struct buf *b, const struct conf_node *n)
{
	_cleanup_free_ char *s = xasprintf("\tnode {\n\t\tname: %s\n\t\tnodeid: %u\n\t\tring0_addr: %s\n", n->name,
	                                   n->id, n->addr[0]);
	_cleanup_free_ char *second = n->addr[1][0] ? xasprintf("\t\tring1_addr: %s\n", n->addr[1]) : NULL;

	buf_put(b, s, strlen(s));
	if (second)
		buf_put(b, second, strlen(second));
	buf_put(b, "\t}\n", 3);
}

char *conf_make(const char *cluster, const struct conf_node *n)
{
	_cleanup_free_ char *second = n->addr[1][0] ? xasprintf("\t\tring1_addr: %s\n", n->addr[1]) : NULL;

	return xasprintf(
		"# Made by vmclus init. vmclus join, leave and remove change the node list, config_version and, if it is there,\n"
		"# expected_votes, on all hosts; what else is here may be edited, on all hosts alike: corosync.conf(5).\n"
		"totem {\n\tversion: 2\n\tconfig_version: 1\n\tcluster_name: %s\n\ttransport: knet\n\ttoken: 1000\n"
		"\tcrypto_cipher: aes256\n\tcrypto_hash: sha256\n}\n"
		"quorum {\n\tprovider: corosync_votequorum\n}\n"
		"logging {\n\tto_syslog: yes\n\ttimestamp: hires\n}\n"
		"nodelist {\n\tnode {\n\t\tname: %s\n\t\tnodeid: %u\n\t\tring0_addr: %s\n%s\t}\n}\n",
		cluster, n->name, n->id, n->addr[0], second ?: "");
}

uint32_t conf_next(const struct conf *c)
{
	uint64_t v = c->version;

	for (unsigned i = 0; i < c->n; i++)
		if (c->node[i].id > v)
			v = c->node[i].id;
	return v < UINT32_MAX ? (uint32_t)v + 1 : UINT32_MAX;
}

/* What a change of the node list makes of a file. */
struct edit {
	const struct conf *old;
	const struct conf_node *add; /* NULL: none */
	const char *remove;          /* NULL: none */
	struct buf out;
	size_t node_at; /* where the present node's text begins in out */
	bool drop, version_done;
};

static void put_line(struct edit *e, const char *from, const char *to)
{
	buf_put(&e->out, from, (size_t)(to - from));
	if (to > from && to[-1] != '\n')
		buf_put(&e->out, "\n", 1);
}

static void put_number(struct edit *e, const char *key, uint64_t n)
{
	_cleanup_free_ char *s = xasprintf("\t%s: %" PRIu64 "\n", key, n);

	buf_put(&e->out, s, strlen(s));
}

static void edit_line(struct edit *e, const struct walk *w)
{
	unsigned n = e->old->n + (e->add ? 1 : 0) - (e->remove ? 1 : 0);

	if (w->kind == LINE_OPEN && in(w, "nodelist", "node")) {
		e->node_at = e->out.len;
		e->drop = false;
	}
	if (w->kind == LINE_KEY && in(w, "nodelist", "node") && e->remove && !strcmp(w->key, "name"))
		e->drop |= !strcmp(w->value, e->remove);
	if (w->kind == LINE_CLOSE && in(w, "nodelist", NULL) && e->add)
		put_node(&e->out, e->add);
	if (w->kind == LINE_CLOSE && in(w, "totem", NULL) && !e->version_done) {
		put_number(e, "config_version", conf_next(e->old));
		e->version_done = true;
	}
	if (w->kind == LINE_KEY && in(w, "totem", NULL) && !strcmp(w->key, "config_version")) {
		if (!e->version_done)
			put_number(e, "config_version", conf_next(e->old));
		e->version_done = true;
	} else if (w->kind == LINE_KEY && in(w, "quorum", NULL) && !strcmp(w->key, "expected_votes")) {
		put_number(e, "expected_votes", n);
	} else {
		put_line(e, w->line, w->next);
	}
	if (w->kind == LINE_CLOSE && in(w, "nodelist", "node") && e->drop)
		e->out.len = e->node_at;
}

static char *edit(const char *conf, struct edit *e, struct err *err)
{
	struct walk w = { .next = conf };
	struct conf after;
	unsigned want = e->old->n + (e->add ? 1 : 0) - (e->remove ? 1 : 0);
	int r;

	while ((r = step(&w, err)) > 0) {
		edit_line(e, &w);
		w.depth -= w.kind == LINE_CLOSE;
	}
	if (r == 0 && conf_next(e->old) <= e->old->version)
		r = err_set(err, EINVAL, "corosync.conf: no version comes after totem.config_version %" PRIu64,
		            e->old->version);
	buf_put(&e->out, "", 1);
	/* read again what is about to be written: a file that this does not understand is not changed */
	if (r == 0 && (e->out.failed || conf_parse((char *)e->out.data, &after, err) < 0 || after.n != want ||
	               after.version != conf_next(e->old)))
		r = err_set(err, EINVAL,
		            "corosync.conf is written in a way that cannot be changed here: edit its "
		            "node list by hand");
	if (r < 0) {
		buf_done(&e->out);
		return NULL;
	}
	return (char *)e->out.data;
}

char *conf_add(const char *conf, const struct conf_node *n, struct err *err)
{
	struct conf old;
	struct edit e = { .old = &old, .add = n };

	if (conf_parse(conf, &old, err) < 0)
		return NULL;
	if (old.n >= CONF_GROW_MAX) {
		(void)err_set(err, E2BIG, "the cluster has %u hosts: no more are added", old.n);
		return NULL;
	}
	for (unsigned i = 0; i < old.n; i++) {
		const struct conf_node *o = &old.node[i];

		if (o->id != n->id && strcmp(o->name, n->name) != 0 && strcmp(o->addr[0], n->addr[0]) != 0)
			continue;
		(void)err_set(err, EEXIST, "the cluster has a host %s, with id %u and address %s", o->name, o->id,
		              o->addr[0]);
		return NULL;
	}
	return edit(conf, &e, err);
}

char *conf_remove(const char *conf, const char *name, struct err *err)
{
	struct conf old;
	struct edit e = { .old = &old, .remove = name };

	if (conf_parse(conf, &old, err) < 0)
		return NULL;
	if (!conf_named(&old, name)) {
		(void)err_set(err, ENOENT, "the cluster has no host %s", name);
		return NULL;
	}
	return edit(conf, &e, err);
}
