/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Procedures about storage pools of type dir and their volumes (vdstore.h). Pools are what the configuration names: they are always there, and
 * clients define, start and stop none.
 */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "virtd/vdcopy.h"
#include "virtd/vdstore.h"

#define POOL_INACTIVE 0u
#define POOL_RUNNING  2u
#define P_ACTIVE      2u /* flags of virConnectListAllStoragePools */
#define P_INACTIVE    1u
#define P_KINDS       (0xfffffu & ~63u) /* types; dir is the first of them */
#define P_DIR         64u
#define P_TRANSIENT   8u
#define P_PERSISTENT  4u
#define P_NO_AUTO     32u
#define P_AUTO        16u
#define VOL_FILE      0u
#define XML_BYTES_MAX 65536u

/* Pools ------------------------------------------------------------------------------------------------------------------- */

static const struct store_pool *pool_by(struct vd_call *c, const char *name, const uint8_t *uuid)
{
	const struct vd_store *s = &c->srv->store;

	for (size_t i = 0; i < s->n; i++)
		if (uuid ? !memcmp(s->pool[i].uuid, uuid, XDR_UUID) : !strcmp(s->pool[i].name, name))
			return &s->pool[i];
	(void)vd_fail(c, VD_E_NO_POOL, "Storage pool not found: no storage pool with matching %s '%.60s'",
	              uuid ? "uuid" : "name", name);
	return NULL;
}

/* The pool of arguments 0 and 1: name, uuid. */
static const struct store_pool *pool_of(struct vd_call *c)
{
	return pool_by(c, c->args.arg[0].s, c->args.arg[1].uuid);
}

static bool is_there(const struct store_pool *p)
{
	struct store_room room;

	store_room(p, &room);
	return room.there;
}

static void put_pool(struct buf *b, const struct store_pool *p)
{
	xdr_put_string(b, p->name);
	xdr_put_fixed(b, p->uuid, XDR_UUID);
}

static bool pool_wanted(const struct store_pool *p, uint32_t flags)
{
	uint32_t of = (is_there(p) ? P_ACTIVE : P_INACTIVE) | P_PERSISTENT | P_AUTO | P_DIR;
	const uint32_t groups[] = { P_ACTIVE | P_INACTIVE, P_PERSISTENT | P_TRANSIENT, P_AUTO | P_NO_AUTO, P_KINDS };

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if ((flags & groups[i]) && !(flags & of & groups[i]))
			return false;
	return true;
}

/* Those that fit, written by @write (NULL: counted only), at most @max. */
static void pools(struct vd_call *c, uint32_t flags, uint32_t max,
                  void (*write)(struct buf *b, const struct store_pool *p), uint32_t *ret_n)
{
	const struct vd_store *s = &c->srv->store;

	*ret_n = 0;
	for (size_t i = 0; i < s->n && *ret_n < max; i++) {
		if (!pool_wanted(&s->pool[i], flags))
			continue;
		if (write)
			write(&c->out, &s->pool[i]);
		++*ret_n;
	}
}

static void put_pool_name(struct buf *b, const struct store_pool *p)
{
	xdr_put_string(b, p->name);
}

int vdh_pools(struct vd_call *c)
{
	struct vd_list l = vd_list_begin(&c->out);
	uint32_t n, flags = c->args.arg[1].u;

	pools(c, flags, STORE_POOLS_MAX, c->args.arg[0].u ? put_pool : NULL, &n);
	l.n = c->args.arg[0].u ? n : 0;
	vd_list_end(&l);
	xdr_put_u32(&c->out, n);
	return 0;
}

static int pool_names(struct vd_call *c, uint32_t flags)
{
	struct vd_list l = vd_list_begin(&c->out);

	pools(c, flags, c->args.arg[0].u, put_pool_name, &l.n);
	vd_list_end(&l);
	return 0;
}

static int pool_count(struct vd_call *c, uint32_t flags)
{
	uint32_t n;

	pools(c, flags, STORE_POOLS_MAX, NULL, &n);
	xdr_put_u32(&c->out, n);
	return 0;
}

int vdh_pool_names(struct vd_call *c)
{
	return pool_names(c, P_ACTIVE);
}
int vdh_pool_names_off(struct vd_call *c)
{
	return pool_names(c, P_INACTIVE);
}
int vdh_num_pools(struct vd_call *c)
{
	return pool_count(c, P_ACTIVE);
}
int vdh_num_pools_off(struct vd_call *c)
{
	return pool_count(c, P_INACTIVE);
}

static int reply_pool(struct vd_call *c, const struct store_pool *p)
{
	if (!p)
		return -1;
	put_pool(&c->out, p);
	return 0;
}

int vdh_pool_by_name(struct vd_call *c)
{
	return reply_pool(c, pool_by(c, c->args.arg[0].s, NULL));
}

int vdh_pool_by_uuid(struct vd_call *c)
{
	char text[37];

	vd_uuid_text(c->args.arg[0].uuid, text);
	return reply_pool(c, pool_by(c, text, c->args.arg[0].uuid));
}

int vdh_pool_info(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);
	struct store_room room;

	if (!p)
		return -1;
	store_room(p, &room);
	xdr_put_u32(&c->out, room.there ? POOL_RUNNING : POOL_INACTIVE);
	xdr_put_u64(&c->out, room.capacity);
	xdr_put_u64(&c->out, room.used);
	xdr_put_u64(&c->out, room.available);
	return 0;
}

static xmlNode *text_node(xmlNode *parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static xmlNode *bytes_node(xmlNode *parent, const char *name, uint64_t v)
{
	char text[24];
	xmlNode *n;

	snprintf(text, sizeof(text), "%" PRIu64, v);
	n = text_node(parent, name, text);
	if (n)
		xmlNewProp(n, (const xmlChar *)"unit", (const xmlChar *)"bytes");
	return n;
}

static xmlNode *child(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

/* The document as the reply; freed. */
static int reply_xml(struct vd_call *c, xmlDoc *doc)
{
	xmlBuffer *b = xmlBufferCreate();
	int n = b && doc ? xmlNodeDump(b, doc, xmlDocGetRootElement(doc), 0, 1) : -1;

	if (n >= 0) {
		_cleanup_free_ char *text = xasprintf("%s\n", (const char *)xmlBufferContent(b));

		xdr_put_string(&c->out, text);
	}
	xmlBufferFree(b);
	xmlFreeDoc(doc);
	return n < 0 ? vd_fail(c, VD_E_MEMORY, "out of memory") : 0;
}

static xmlDoc *new_doc(const char *name, const char *type, xmlNode **ret_root)
{
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");

	*ret_root = xmlNewNode(NULL, (const xmlChar *)name);
	xmlNewProp(*ret_root, (const xmlChar *)"type", (const xmlChar *)type);
	xmlDocSetRootElement(doc, *ret_root);
	return doc;
}

int vdh_pool_xml(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);
	struct store_room room;
	char uuid[37];
	xmlNode *root;
	xmlDoc *doc;

	if (!p)
		return -1;
	store_room(p, &room);
	vd_uuid_text(p->uuid, uuid);
	doc = new_doc("pool", "dir", &root);
	text_node(root, "name", p->name);
	text_node(root, "uuid", uuid);
	bytes_node(root, "capacity", room.capacity);
	bytes_node(root, "allocation", room.used);
	bytes_node(root, "available", room.available);
	child(root, "source");
	text_node(child(root, "target"), "path", p->dir);
	return reply_xml(c, doc);
}

int vdh_pool_true(struct vd_call *c)
{
	if (!pool_of(c))
		return -1;
	xdr_put_u32(&c->out, 1);
	return 0;
}

int vdh_pool_active(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);

	if (!p)
		return -1;
	xdr_put_u32(&c->out, is_there(p));
	return 0;
}

/* Start, build, refresh: after it the directory is there, and what is in it is looked at anew in any case. */
int vdh_pool_build(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);
	struct err err = { 0 };
	int r = p ? store_build(p, &err) : 0;

	return !p ? -1 : r < 0 ? vd_fail_err(c, r, &err) : 0;
}

int vdh_pool_refresh(struct vd_call *c)
{
	return pool_of(c) ? 0 : -1;
}

int vdh_pool_refuse(struct vd_call *c)
{
	return vd_fail(c, VD_E_UNSUPPORTED, "storage pools are the directories that \"pools\" in %s/virtd.json names",
	               path_conf());
}

int vdh_pool_autostart(struct vd_call *c)
{
	return !pool_of(c) ? -1 : c->args.arg[2].u ? 0 : vdh_pool_refuse(c);
}

/* XML from clients ------------------------------------------------------------------------------------------------------- */

static xmlDoc *read_doc(struct vd_call *c, const char *text, const char *root, xmlNode **ret_root)
{
	size_t len = strlen(text);
	xmlDoc *doc = len > XML_BYTES_MAX ? NULL
	                                  : xmlReadMemory(text, (int)len, "(volume)", NULL,
	                                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
	                                                          XML_PARSE_NOCDATA);

	*ret_root = doc && !doc->intSubset ? xmlDocGetRootElement(doc) : NULL;
	if (*ret_root && !strcmp((const char *)(*ret_root)->name, root))
		return doc;
	xmlFreeDoc(doc);
	(void)vd_fail(c, VD_E_XML, "XML error: this is no <%s> document", root);
	return NULL;
}

static xmlNode *element(xmlNode *parent, const char *name)
{
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && !strcmp((const char *)n->name, name))
			return n;
	return NULL;
}

/* Without the space around it; malloc'd. NULL: there is none. */
static char *content(const xmlNode *n)
{
	xmlChar *text = n ? xmlNodeGetContent(n) : NULL;
	char *s = (char *)text, *ret;

	if (!s)
		return NULL;
	s += strspn(s, " \t\r\n");
	for (size_t len = strlen(s); len && strchr(" \t\r\n", s[len - 1]);)
		s[--len] = 0;
	ret = *s ? xasprintf("%s", s) : NULL;
	xmlFree(text);
	return ret;
}

static char *attribute(xmlNode *n, const char *name)
{
	xmlChar *text = n ? xmlGetProp(n, (const xmlChar *)name) : NULL;
	char *ret = text ? xasprintf("%s", (const char *)text) : NULL;

	xmlFree(text);
	return ret;
}

/*
 * virt-install defines a pool for the directory of each image that it is given. What is there already is the answer; another one is kept until
 * this process ends, if images may be there at all.
 */
int vdh_pool_define(struct vd_call *c)
{
	struct vd_store *s = &c->srv->store;
	_cleanup_free_ char *dir = NULL, *name = NULL, *type = NULL;
	const struct store_pool *p = NULL;
	struct err err = { 0 };
	xmlNode *root;
	xmlDoc *doc = read_doc(c, c->args.arg[0].s, "pool", &root);
	int r = 0;

	if (!doc)
		return -1;
	dir = content(element(element(root, "target"), "path"));
	name = content(element(root, "name"));
	type = attribute(root, "type");
	xmlFreeDoc(doc);
	if (!dir || !name || !type || strcmp(type, "dir"))
		return vd_fail(c, VD_E_UNSUPPORTED, "a storage pool has a name, a target path, and is of type dir");
	for (size_t len = strlen(dir); len > 1 && dir[len - 1] == '/';)
		dir[--len] = 0;
	pthread_mutex_lock(&c->srv->lock);
	for (size_t i = 0; !p && i < s->n; i++)
		if (!strcmp(s->pool[i].dir, dir))
			p = &s->pool[i];
	if (!p)
		r = store_add(s, name, dir, &p, &err);
	pthread_mutex_unlock(&c->srv->lock);
	return r < 0 ? vd_fail_err(c, r, &err) : reply_pool(c, p);
}

/* libvirt's units; without one these are bytes. */
static bool octets(xmlNode *n, uint64_t *ret)
{
	static const char letters[] = "KMGTPE";
	_cleanup_free_ char *text = content(n), *unit = attribute(n, "unit");
	const char *at = unit && *unit ? strchr(letters, *unit >= 'a' ? *unit - 32 : *unit) : NULL;
	uint64_t v, factor = 1, step = unit && strlen(unit) == 2 && unit[1] == 'B' ? 1000 : 1024;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	if (unit && !at && strcmp(unit, "B") && strcmp(unit, "b") && strcmp(unit, "bytes") && strcmp(unit, "byte"))
		return false;
	for (ptrdiff_t i = at ? at - letters + 1 : 0; i > 0; i--)
		if (__builtin_mul_overflow(factor, step, &factor))
			return false;
	return !__builtin_mul_overflow(v, factor, ret);
}

static bool format(xmlNode *parent, enum dom_disk_format *ret)
{
	_cleanup_free_ char *type = attribute(element(parent, "format"), "type");

	*ret = type && !strcmp(type, "qcow2") ? DOM_FORMAT_QCOW2 : DOM_FORMAT_RAW;
	return !type || !strcmp(type, "qcow2") || !strcmp(type, "raw") || !strcmp(type, "iso");
}

static int read_vol(struct vd_call *c, xmlNode *root, struct store_vol *v)
{
	_cleanup_free_ char *name = content(element(root, "name"));
	xmlNode *allocation = element(root, "allocation"), *backing = element(root, "backingStore");

	*v = (struct store_vol){ 0 };
	if (!name || strlen(name) >= sizeof(v->name))
		return vd_fail(c, VD_E_XML, "XML error: missing volume name, or it is too long");
	snprintf(v->name, sizeof(v->name), "%s", name);
	if (!octets(element(root, "capacity"), &v->capacity) || (allocation && !octets(allocation, &v->allocation)))
		return vd_fail(c, VD_E_XML, "XML error: capacity or allocation of '%s' is no size", name);
	if (!format(element(root, "target"), &v->format) || !format(backing, &v->backing_format))
		return vd_fail(c, VD_E_UNSUPPORTED, "images are raw or qcow2");
	v->capacity = (v->capacity + 511) / 512 * 512;
	if (v->allocation < v->capacity) /* sparse, as clients that say less than all mean it */
		v->allocation = 0;
	v->backing = content(element(backing, "path"));
	return 0;
}

/* Volumes ----------------------------------------------------------------------------------------------------------------- */

static void put_vol(struct buf *b, const struct store_pool *p, const char *name)
{
	_cleanup_free_ char *path = store_path(p, name);

	xdr_put_string(b, p->name);
	xdr_put_string(b, name);
	xdr_put_string(b, path); /* its key */
}

/* Names of images of the pool of the first arguments, written by @write, at most @max. */
static int volumes(struct vd_call *c, uint32_t max,
                   void (*write)(struct buf *b, const struct store_pool *p, const char *name), uint32_t *ret_n)
{
	const struct store_pool *p = pool_of(c);
	struct err err = { 0 };
	char **names;
	size_t n;
	int r = p ? store_names(p, &names, &n, &err) : 0;

	if (!p)
		return -1;
	if (r < 0)
		return vd_fail_err(c, r, &err);
	*ret_n = n < max ? (uint32_t)n : max;
	for (size_t i = 0; i < *ret_n && write; i++)
		write(&c->out, p, names[i]);
	store_names_done(names, n);
	return 0;
}

int vdh_volumes(struct vd_call *c)
{
	struct vd_list l = vd_list_begin(&c->out);
	bool wanted = c->args.arg[2].u;
	uint32_t n;

	if (volumes(c, STORE_VOLS_MAX, wanted ? put_vol : NULL, &n) < 0)
		return -1;
	l.n = wanted ? n : 0;
	vd_list_end(&l);
	xdr_put_u32(&c->out, n);
	return 0;
}

int vdh_num_volumes(struct vd_call *c)
{
	uint32_t n;

	if (volumes(c, STORE_VOLS_MAX, NULL, &n) < 0)
		return -1;
	xdr_put_u32(&c->out, n);
	return 0;
}

static void put_vol_name(struct buf *b, const struct store_pool *p, const char *name)
{
	(void)p;
	xdr_put_string(b, name);
}

int vdh_volume_names(struct vd_call *c)
{
	struct vd_list l = vd_list_begin(&c->out);

	if (volumes(c, c->args.arg[2].u < STORE_VOLS_MAX ? c->args.arg[2].u : STORE_VOLS_MAX, put_vol_name, &l.n) < 0)
		return -1;
	vd_list_end(&l);
	return 0;
}

static int vol_error(struct vd_call *c, int r, const struct err *err)
{
	return r == -ENOENT ? vd_fail(c, VD_E_NO_VOL, "%s", err->text) : vd_fail_err(c, r, err);
}

/* The pool and what there is of the volume of arguments 0, 1, 2: pool, name, key. store_vol_done() after 0. */
static int vol_of(struct vd_call *c, const struct store_pool **ret, struct store_vol *v)
{
	struct err err = { 0 };
	int r;

	*ret = pool_by(c, c->args.arg[0].s, NULL);
	if (!*ret)
		return -1;
	r = store_look(*ret, c->args.arg[1].s, v, &err);
	return r < 0 ? vol_error(c, r, &err) : 0;
}

int vdh_vol_pool(struct vd_call *c)
{
	return reply_pool(c, pool_by(c, c->args.arg[0].s, NULL));
}

int vdh_vol_by_name(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);
	struct err err = { 0 };
	struct store_vol v;
	int r = p ? store_look(p, c->args.arg[2].s, &v, &err) : 0;

	if (!p || r < 0)
		return !p ? -1 : vol_error(c, r, &err);
	put_vol(&c->out, p, v.name);
	store_vol_done(&v);
	return 0;
}

/* By path, which is its key, too. */
int vdh_vol_by_path(struct vd_call *c)
{
	const struct vd_store *s = &c->srv->store;
	const char *path = c->args.arg[0].s, *slash = strrchr(path, '/');
	struct store_vol v;

	for (size_t i = 0; slash && i < s->n; i++) {
		const struct store_pool *p = &s->pool[i];

		if (strlen(p->dir) != (size_t)(slash - path) || strncmp(p->dir, path, (size_t)(slash - path)) != 0 ||
		    store_look(p, slash + 1, &v, NULL) < 0)
			continue;
		put_vol(&c->out, p, v.name);
		store_vol_done(&v);
		return 0;
	}
	return vd_fail(c, VD_E_NO_VOL, "Storage volume not found: no storage vol with matching path '%.200s'", path);
}

/* How far it grows when it is full, and what it takes now. */
int vdh_vol_info(struct vd_call *c)
{
	const struct store_pool *p;
	struct store_vol v;

	if (vol_of(c, &p, &v) < 0)
		return -1;
	xdr_put_u32(&c->out, VOL_FILE);
	xdr_put_u64(&c->out, v.capacity);
	xdr_put_u64(&c->out, v.allocation);
	store_vol_done(&v);
	return 0;
}

static void put_format(xmlNode *parent, const char *name)
{
	xmlNewProp(child(parent, "format"), (const xmlChar *)"type", (const xmlChar *)name);
}

int vdh_vol_xml(struct vd_call *c)
{
	static const char *const names[] = { [DOM_FORMAT_RAW] = "raw", [DOM_FORMAT_QCOW2] = "qcow2" };
	_cleanup_free_ char *path = NULL;
	const struct store_pool *p;
	xmlNode *root, *target;
	struct store_vol v;
	xmlDoc *doc;

	if (vol_of(c, &p, &v) < 0)
		return -1;
	path = store_path(p, v.name);
	doc = new_doc("volume", "file", &root);
	text_node(root, "name", v.name);
	text_node(root, "key", path);
	bytes_node(root, "capacity", v.capacity);
	bytes_node(root, "allocation", v.allocation);
	bytes_node(root, "physical", v.physical);
	target = child(root, "target");
	text_node(target, "path", path);
	put_format(target, v.iso ? "iso" : names[v.format]);
	if (v.backing) {
		xmlNode *b = child(root, "backingStore");

		text_node(b, "path", v.backing);
		put_format(b, names[v.backing_format]);
	}
	store_vol_done(&v);
	return reply_xml(c, doc);
}

int vdh_vol_path(struct vd_call *c)
{
	_cleanup_free_ char *path = NULL;
	const struct store_pool *p;
	struct store_vol v;

	if (vol_of(c, &p, &v) < 0)
		return -1;
	path = store_path(p, v.name);
	store_vol_done(&v);
	xdr_put_string(&c->out, path);
	return 0;
}

int vdh_vol_create(struct vd_call *c)
{
	const struct store_pool *p = pool_of(c);
	struct err err = { 0 };
	struct store_vol v;
	xmlNode *root;
	xmlDoc *doc = p ? read_doc(c, c->args.arg[2].s, "volume", &root) : NULL;
	int r;

	if (!doc)
		return -1;
	r = read_vol(c, root, &v);
	xmlFreeDoc(doc);
	if (r < 0)
		return r;
	r = store_create(p, &v, &err);
	if (!r)
		put_vol(&c->out, p, v.name);
	store_vol_done(&v);
	return r < 0 ? vol_error(c, r, &err) : 0;
}

int vdh_vol_delete(struct vd_call *c)
{
	const struct store_pool *p = pool_by(c, c->args.arg[0].s, NULL);
	struct err err = { 0 };
	int r = p ? store_delete(p, c->args.arg[1].s, &err) : 0;

	return !p ? -1 : r < 0 ? vol_error(c, r, &err) : 0;
}

#define RESIZE_DELTA 2u
#define COPY_MAX     (1ull << 50)

int vdh_vol_resize(struct vd_call *c)
{
	uint32_t flags = c->args.arg[4].u;
	uint64_t bytes = c->args.arg[3].l;
	const struct store_pool *p;
	struct err err = { 0 };
	struct store_vol v;
	int r;

	if (flags & ~RESIZE_DELTA)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for a resize", flags);
	if (vol_of(c, &p, &v) < 0)
		return -1;
	if ((flags & RESIZE_DELTA) && __builtin_add_overflow(bytes, v.capacity, &bytes))
		bytes = UINT64_MAX;
	store_vol_done(&v);
	r = store_resize(p, c->args.arg[1].s, bytes, &err);
	return r < 0 ? vol_error(c, r, &err) : 0;
}

/* Arguments: pool, name, key of the volume, offset, length (0: all), flags. */
static int copy(struct vd_call *c, bool upload)
{
	uint64_t at = c->args.arg[3].l, len = c->args.arg[4].l;
	const struct store_pool *p = pool_by(c, c->args.arg[0].s, NULL);
	struct err err = { 0 };
	int fd, r;

	if (c->args.arg[5].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x): holes are not sent as such",
		               c->args.arg[5].u);
	if (at > COPY_MAX || len > COPY_MAX)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: offset and length are 1 PiB at most");
	if (!p)
		return -1;
	fd = store_open(p, c->args.arg[1].s, upload, &err);
	r = fd < 0 ? fd : vd_copy_new(fd, upload, at, len, &c->copy, &c->fd, &err);
	return r < 0 ? vol_error(c, r, &err) : 0;
}

int vdh_vol_upload(struct vd_call *c)
{
	return copy(c, true);
}

int vdh_vol_download(struct vd_call *c)
{
	return copy(c, false);
}

void vdh_vol_copied(struct vd_conn *conn, struct vd_call *c)
{
	(void)conn;
	if (c->srv->n_copies >= VD_COPIES_MAX)
		(void)vd_fail(c, VD_E_FAILED, "%u volumes are being copied; try again when one of them is done",
		              VD_COPIES_MAX);
	else if (!vd_copy_begin(c))
		(void)vd_fail(c, VD_E_MEMORY, "out of memory");
}
