/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Node identity, keys and pinned peers: see peers.h. */
#include "config.h"
#include "migrated/io/peers.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>
#include "common/hostname.h"
#include "common/jsonplain.h"
#include "common/util.h"
#include "migrated/core/mig.h"

static bool key_is_valid(const char *key)
{
	uint8_t raw[32];

	return strlen(key) == PEER_KEY_TEXT - 1 && zmq_z85_decode(raw, key) == raw;
}

/* Host name or address: nothing that could be read as another part of an endpoint. */
static bool address_is_valid(const char *a)
{
	size_t n = strlen(a);

	if (!n || n > 253)
		return false;
	for (; *a; a++)
		if (!isalnum((unsigned char)*a) && !strchr(".-:_[]%", *a))
			return false;
	return true;
}

static int keys_make(const char *path, struct node *n, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/keys", path_conf());
	int r = mkdir_p(dir, 0700);

	if (r < 0)
		return err_sys(err, r, "create %s", dir);
	if (zmq_curve_keypair(n->public_key, n->secret_key) < 0)
		return err_set(err, ENOTSUP, "this libzmq has no CURVE support");
	_cleanup_free_ char *text = xasprintf("%s\n%s\n", n->public_key, n->secret_key);
	r = file_write_atomic(path, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "write keys to %s", path) : 0;
}

static int keys_load(struct node *n, bool create, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/keys/migrated.key", path_conf()), *text = NULL;
	char derived[PEER_KEY_TEXT];
	size_t len;
	int r = file_read(path, 4096, &text, &len);

	if (r == -ENOENT && create)
		return keys_make(path, n, err);
	if (r < 0)
		return err_sys(err, r, "read keys from %s (made by migrated at its first start)", path);
	struct stat st;
	if (stat(path, &st) == 0 && (st.st_mode & 077))
		return err_set(err, EPERM, "%s can be read by others: chmod 600 it, and better make new keys", path);
	if (sscanf(text, "%40s %40s", n->public_key, n->secret_key) != 2 || !key_is_valid(n->public_key) ||
	    !key_is_valid(n->secret_key) || zmq_curve_public(derived, n->secret_key) < 0 ||
	    strcmp(derived, n->public_key))
		return err_set(err, EINVAL,
		               "%s does not hold a key pair; remove it and start migrated to make a new one", path);
	return 0;
}

static int conf_text(json_t *o, const char *key, char *dst, size_t cap)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	const char *s = json_string_value(v);
	if (!s || strlen(s) >= cap)
		return -EINVAL;
	strcpy(dst, s);
	return 0;
}

int node_load(struct node *n, bool create, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/migrated.json", path_conf()), *text = NULL;
	size_t len;

	*n = (struct node){ .listen = "*", .port = MIG_PORT, .migrations_max = 4, .congestion = CONGESTION_DEFAULT };
	host_name(n->name, sizeof(n->name));
	int r = file_read(path, 65536, &text, &len);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "read %s", path);
	if (r == 0) {
		json_error_t je;
		json_plain(text, len);
		json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
		if (!o)
			return err_set(err, EINVAL, "%s:%d: %s", path, je.line, je.text);
		json_int_t port = json_integer_value(json_object_get(o, "port")),
			   max = json_integer_value(json_object_get(o, "migrations_max"));
		r = conf_text(o, "name", n->name, sizeof(n->name)) < 0 ||
		    conf_text(o, "listen", n->listen, sizeof(n->listen)) < 0 ||
		    conf_text(o, "congestion", n->congestion, sizeof(n->congestion)) < 0 || port < 0 || port > 65534 ||
		    max < 0 || max > 32;
		json_decref(o);
		if (r)
			return err_set(
				err, EINVAL,
				"%s: name, listen, congestion (texts), port (1-65534) or migrations_max (1-32) is wrong",
				path);
		n->port = port ? (uint16_t)port : n->port;
		n->migrations_max = max ? (unsigned)max : n->migrations_max;
	}
	if (!name_is_valid(n->name))
		return err_set(err, EINVAL, "\"%s\" cannot be this host's name: set \"name\" in %s", n->name, path);
	return keys_load(n, create, err);
}

int peer_parse(const char *text, size_t len, const char *origin, struct peer *ret, struct err *err)
{
	struct peer p = { .port = MIG_PORT };
	json_error_t je;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);

	if (!o)
		return err_set(err, EINVAL, "%s:%d: %s", origin, je.line, je.text);
	json_t *port = json_object_get(o, "port");
	bool ok = conf_text(o, "name", p.name, sizeof(p.name)) == 0 &&
	          conf_text(o, "address", p.address, sizeof(p.address)) == 0 &&
	          conf_text(o, "public_key", p.public_key, sizeof(p.public_key)) == 0 && name_is_valid(p.name) &&
	          address_is_valid(p.address) && key_is_valid(p.public_key) &&
	          (!port ||
	           (json_is_integer(port) && json_integer_value(port) > 0 && json_integer_value(port) < 65535));
	if (ok && port)
		p.port = (uint16_t)json_integer_value(port);
	json_decref(o);
	if (!ok)
		return err_set(err, EINVAL,
		               "%s: a peer is {\"name\", \"address\", \"port\", \"public_key\"}; one of them is wrong",
		               origin);
	*ret = p;
	return 0;
}

int peers_load(struct peers *ps, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/peers.d", path_conf());
	_cleanup_peers_ struct peers got = { 0 };
	DIR *d = opendir(dir);
	int r = 0;

	if (!d && errno == ENOENT) {
		*ps = (struct peers){ 0 };
		return 0;
	}
	if (!d)
		return err_sys(err, errno, "read %s", dir);
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n < 6 || strcmp(e->d_name + n - 5, ".json") || e->d_name[0] == '.')
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name), *text = NULL;
		size_t len;
		r = file_read(path, 65536, &text, &len);
		if (r == -ENOENT) { /* removed meanwhile */
			r = 0;
			continue;
		}
		struct peer *more = got.n < PEERS_MAX ? realloc(got.p, (got.n + 1) * sizeof(*more)) : NULL;
		if (r < 0 || !more) {
			r = err_sys(err, r < 0 ? r : ENOMEM, "read %s", path);
			break;
		}
		got.p = more;
		r = peer_parse(text, len, path, &got.p[got.n], err);
		got.n += r == 0;
	}
	closedir(d);
	if (r < 0)
		return r;
	*ps = got;
	got = (struct peers){ 0 };
	return 0;
}

void peers_done(struct peers *ps)
{
	free(ps->p);
	*ps = (struct peers){ 0 };
}

const struct peer *peers_by_name(const struct peers *ps, const char *name)
{
	for (size_t i = 0; i < ps->n; i++)
		if (!strcmp(ps->p[i].name, name))
			return &ps->p[i];
	return NULL;
}

const struct peer *peers_by_key(const struct peers *ps, const char *key)
{
	for (size_t i = 0; i < ps->n; i++)
		if (!strcmp(ps->p[i].public_key, key))
			return &ps->p[i];
	return NULL;
}

int peer_add(const char *name, const char *address, const char *key, struct err *err)
{
	char host[256];
	unsigned port = MIG_PORT;

	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" cannot be a host's name", name);
	if (!key_is_valid(key))
		return err_set(err, EINVAL,
		               "not a public key (40 characters, as `vmmig peers self` prints on that host): \"%s\"",
		               key);
	/* ADDRESS or ADDRESS:PORT; a bare IPv6 address has several colons */
	const char *colon = strrchr(address, ':');
	bool has_port = colon && (strchr(address, ':') == colon || (colon > address && colon[-1] == ']'));
	size_t n = has_port ? (size_t)(colon - address) : strlen(address);
	if (n >= sizeof(host) || (has_port && (sscanf(colon + 1, "%u", &port) != 1 || port < 1 || port > 65534)))
		return err_set(err, EINVAL, "\"%s\" is not ADDRESS or ADDRESS:PORT", address);
	memcpy(host, address, n);
	host[n] = 0;
	if (!address_is_valid(host))
		return err_set(err, EINVAL, "\"%s\" is not a host address", host);
	_cleanup_free_ char *dir = xasprintf("%s/peers.d", path_conf());
	_cleanup_free_ char *path = xasprintf("%s/%s.json", dir, name);
	int r = mkdir_p(dir, 0755);
	if (r < 0)
		return err_sys(err, r, "create %s", dir);
	json_t *o = json_pack("{s:s, s:s, s:i, s:s}", "name", name, "address", host, "port", (int)port, "public_key",
	                      key);
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	if (!text)
		return err_sys(err, ENOMEM, "peer %s", name);
	r = file_write_atomic(path, text, strlen(text), 0644);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

int peer_remove(const char *name, struct err *err)
{
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" cannot be a host's name", name);
	_cleanup_free_ char *path = xasprintf("%s/peers.d/%s.json", path_conf(), name);
	if (unlink(path) < 0)
		return errno == ENOENT ? err_set(err, ENOENT, "no peer %s is pinned", name)
		                       : err_sys(err, errno, "remove %s", path);
	return 0;
}
