/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See member_token.h. */
#include "config.h"
#include "tools/member_token.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "common/util.h"
#include "tools/jsonconn.h"

#define PREFIX   "hospes1."
#define RAW      58u /* key, secret, expires_s, port, sum */
#define FILE_MAX 4096u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* FNV-1a: against typing errors only. */
static uint32_t sum(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

/* base64url without padding; @to has room. */
static void encode(const uint8_t *p, size_t n, char *to)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*to++ = digits[acc >> (bits - 6) & 63];
	}
	if (bits)
		*to++ = digits[acc << (6 - bits) & 63];
	*to = 0;
}

static bool decode(const char *s, uint8_t *to, size_t n)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t got = 0;

	for (; *s; s++) {
		const char *d = strchr(digits, *s);

		if (!d)
			return false;
		acc = acc << 6 | (uint32_t)(d - digits);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (got == n)
			return false;
		to[got++] = (uint8_t)(acc >> bits);
	}
	return got == n && bits < 6;
}

static void put_le(uint8_t *p, uint32_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_le(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint32_t)p[i] << 8 * i;
	return v;
}

void token_print(const struct token *t, char to[TOKEN_TEXT_MAX])
{
	uint8_t raw[RAW];

	_Static_assert(sizeof(PREFIX) + (RAW * 8 + 5) / 6 <= TOKEN_TEXT_MAX, "a token fits");
	memcpy(raw, t->key, 32);
	memcpy(raw + 32, t->secret, TOKEN_SECRET);
	put_le(raw + 48, t->expires_s, 4);
	put_le(raw + 52, t->port, 2);
	put_le(raw + 54, sum(raw, 54), 4);
	strcpy(to, PREFIX);
	encode(raw, RAW, to + strlen(PREFIX));
}

int token_parse(const char *text, struct token *ret, struct err *err)
{
	uint8_t raw[RAW];

	if (strncmp(text, "hospes", 6) != 0)
		return err_set(err, EINVAL, "that is no token: vmclus invite prints one on a host of the cluster");
	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return err_set(err, EINVAL,
		               "the token is of another version of Hospes: install the same version on both hosts");
	if (!decode(text + strlen(PREFIX), raw, RAW) || get_le(raw + 54, 4) != sum(raw, 54) || !get_le(raw + 52, 2))
		return err_set(err, EINVAL,
		               "the token is cut short or mistyped: copy the whole line that vmclus invite printed");
	memcpy(ret->key, raw, 32);
	memcpy(ret->secret, raw + 32, TOKEN_SECRET);
	ret->expires_s = get_le(raw + 48, 4);
	ret->port = (uint16_t)get_le(raw + 52, 2);
	return 0;
}

/* The inviter's side ----------------------------------------------------------------------------------------------- */

static char *dir(void)
{
	return xasprintf("%s/invitations", path_run());
}

static void hex(const uint8_t *p, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++)
		sprintf(to + 2 * i, "%02x", p[i]);
}

static json_t *load(const char *path)
{
	_cleanup_free_ char *text = NULL;

	return file_read(path, FILE_MAX, &text, NULL) == 0 ? json_loads(text, 0, NULL) : NULL;
}

static int save(const char *path, const json_t *o, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);
	int r = text ? file_write_atomic(path, text, strlen(text), 0600) : -ENOMEM;

	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

static bool expired(const json_t *o)
{
	return boot_ns() > (uint64_t)json_integer_value(json_object_get(o, "until_ns"));
}

/*
 * Calls @fn with each invitation and its path until it returns non-zero, which is returned. Those that nobody can use
 * any more are removed.
 */
static int each(int (*fn)(void *arg, const char *path, json_t *o), void *arg)
{
	_cleanup_free_ char *in = dir();
	DIR *d = opendir(in);
	int r = 0;

	for (struct dirent *e; d && !r && (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		_cleanup_free_ char *path = xasprintf("%s/%s", in, e->d_name);
		_cleanup_json_ json_t *o = NULL;

		if (n < 6 || e->d_name[0] == '.' || strcmp(e->d_name + n - 5, ".json") != 0)
			continue;
		o = load(path);
		/* one that has expired is kept for a while: to say that it has */
		if (!o || boot_ns() > (uint64_t)json_integer_value(json_object_get(o, "until_ns")) + 24 * INVITE_NS)
			unlink(path);
		else
			r = fn(arg, path, o);
	}
	if (d)
		closedir(d);
	return r;
}

static int count_open(void *arg, const char *path, json_t *o)
{
	(void)path;
	*(unsigned *)arg += !expired(o);
	return 0;
}

bool invite_any(void)
{
	unsigned n = 0;

	(void)each(count_open, &n);
	return n > 0;
}

int invite_make(const uint8_t key[32], uint16_t port, const char *name, struct token *ret, struct err *err)
{
	struct token t = { .port = port, .expires_s = (uint32_t)(time(NULL) + (time_t)(INVITE_NS / NS_PER_S)) };
	char secret[2 * TOKEN_SECRET + 1];
	uint8_t id[8];
	unsigned n = 0;

	(void)each(count_open, &n);
	if (n >= INVITES_MAX)
		return err_set(err, EBUSY, "%u invitations are open: they expire an hour after they were made", n);
	if (getrandom(t.secret, sizeof(t.secret), 0) != sizeof(t.secret) || getrandom(id, sizeof(id), 0) != sizeof(id))
		return err_set(err, EIO, "no random numbers");
	memcpy(t.key, key, sizeof(t.key));
	hex(t.secret, sizeof(t.secret), secret);
	_cleanup_free_ char *in = dir();
	int r = mkdir_p(in, 0700);
	if (r < 0)
		return err_sys(err, r, "create %s", in);
	_cleanup_free_ char *path = xasprintf("%s/%016" PRIx64 ".json", in,
	                                      (uint64_t)get_le(id, 4) << 32 | get_le(id + 4, 4));
	_cleanup_json_ json_t *o = json_pack("{s:s, s:I, s:s, s:s}", "secret", secret, "until_ns",
	                                     (json_int_t)(boot_ns() + INVITE_NS), "name", name ?: "", "key", "");
	r = o ? save(path, o, err) : err_sys(err, ENOMEM, "invitation");
	if (r == 0)
		*ret = t;
	return r;
}

struct use {
	char secret[2 * TOKEN_SECRET + 1];
	const char *key, *name;
	struct err *err;
};

/* Whether a secret is right is not told by how long that takes to say. */
static bool same(const char *a, const char *b)
{
	size_t n = strlen(b);
	unsigned char differ = strlen(a) != n;

	for (size_t i = 0; i < n && a[i]; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return !differ;
}

static int use_one(void *arg, const char *path, json_t *o)
{
	struct use *u = arg;
	const char *of = field_text(o, "key"), *name = field_text(o, "name");
	int r;

	if (!same(field_text(o, "secret"), u->secret))
		return 0;
	if (expired(o))
		return err_set(u->err, ETIME,
		               "the token has expired: it is valid for an hour; vmclus invite makes another one");
	if (*name && strcmp(name, u->name) != 0)
		return err_set(u->err, EACCES, "the token is for a host called %s, this one is called %s", name,
		               u->name);
	if (*of)
		return !strcmp(of, u->key)
		               ? 1
		               : err_set(u->err, EBUSY,
		                         "the token was used by another host: each is for one; vmclus invite makes another one");
	(void)json_object_set_new(o, "key", json_string(u->key));
	r = save(path, o, u->err);
	return r < 0 ? r : 1;
}

int invite_use(const uint8_t secret[TOKEN_SECRET], const char *key, const char *name, struct err *err)
{
	struct use u = { .key = key, .name = name, .err = err };
	int r;

	hex(secret, TOKEN_SECRET, u.secret);
	r = each(use_one, &u);
	explicit_bzero(u.secret, sizeof(u.secret));
	if (!r)
		return err_set(
			err, EACCES,
			"this host made no such invitation, or was booted since: vmclus invite makes another one");
	return r < 0 ? r : 0;
}
