/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration, <conf>/virtd.json: hospes-virtd(8). Loop thread, before it serves. */
#include "config.h"
#include "virtd/virtd_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "common/jsonplain.h"
#include "common/util.h"

#define CONF_BYTES_MAX 65536u
#define PATTERNS_MAX   256u

static int text_of(const json_t *o, const char *key, char **to, struct err *err)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_string(v) || !*json_string_value(v))
		return err_set(err, EINVAL, "\"%s\" has to be a text", key);
	free(*to);
	*to = xasprintf("%s", json_string_value(v));
	return 0;
}

/* A whole number, or libvirt's "16514". */
static int number_of(const json_t *o, const char *key, unsigned min, unsigned max, unsigned *to, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	char *end = NULL;
	long long n;

	if (!v)
		return 0;
	n = json_is_string(v) ? strtoll(json_string_value(v), &end, 10) : json_integer_value(v);
	if ((!json_is_string(v) && !json_is_integer(v)) || (end && (*end || end == json_string_value(v))) || n < min ||
	    n > max)
		return err_set(err, EINVAL, "\"%s\" has to be a number from %u to %u", key, min, max);
	*to = (unsigned)n;
	return 0;
}

static int flag_of(const json_t *o, const char *key, bool *to, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	unsigned n = *to;

	if (json_is_boolean(v))
		n = json_is_true(v);
	else if (number_of(o, key, 0, 1, &n, NULL) < 0)
		return err_set(err, EINVAL, "\"%s\" has to be true or false", key);
	*to = n;
	return 0;
}

static void strings_done(struct vd_strings *l)
{
	while (l->n)
		free(l->s[--l->n]);
	free(l->s);
	l->s = NULL;
}

static int strings_of(const json_t *o, const char *key, struct vd_strings *to, struct err *err)
{
	const json_t *list = json_object_get(o, key), *v;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > PATTERNS_MAX)
		return err_set(err, EINVAL, "\"%s\" has to be a list of at most %u texts", key, PATTERNS_MAX);
	to->s = calloc(json_array_size(list) + 1, sizeof(*to->s));
	if (!to->s)
		return err_sys(err, ENOMEM, "%s", key);
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v) || !*json_string_value(v))
			return err_set(err, EINVAL, "\"%s\" has to be a list of texts", key);
		to->s[to->n++] = xasprintf("%s", json_string_value(v));
	}
	return 0;
}

static int keys_known(json_t *o, struct err *err)
{
	static const char *const known[] = {
		"socket",
		"socket_ro",
		"group",
		"pools",
		"listen_tls",
		"listen_addr",
		"tls_port",
		"key_file",
		"ca_file",
		"crl_file",
		"tls_allowed_dn_list",
		"tls_readonly_dn_list",
		"cert_file",
		"max_anonymous_clients",
	};
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
	{
		bool ok = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			ok |= !strcmp(key, known[i]);
		if (!ok)
			return err_set(err, EINVAL, "\"%.40s\" is not known: see hospes-virtd(8)", key);
	}
	return 0;
}

static int tls_of(const json_t *o, struct vd_tls_config *t, struct err *err)
{
	const struct {
		const char *key;
		char **to;
	} texts[] = { { "listen_addr", &t->addr },
		      { "key_file", &t->key_file },
		      { "cert_file", &t->cert_file },
		      { "ca_file", &t->ca_file },
		      { "crl_file", &t->crl_file } };
	struct in6_addr a;
	int r = flag_of(o, "listen_tls", &t->on, err);

	for (size_t i = 0; !r && i < ARRAY_SIZE(texts); i++)
		r = text_of(o, texts[i].key, texts[i].to, err);
	if (!r)
		r = number_of(o, "tls_port", 1, 65535, &t->port, err);
	if (!r)
		r = number_of(o, "max_anonymous_clients", 1, VD_TLS_HANDSHAKES_MAX, &t->handshakes, err);
	if (!r)
		r = strings_of(o, "tls_allowed_dn_list", &t->allowed, err);
	if (!r)
		r = strings_of(o, "tls_readonly_dn_list", &t->readonly, err);
	if (!r && t->addr && inet_pton(AF_INET, t->addr, &a) != 1 && inet_pton(AF_INET6, t->addr, &a) != 1)
		r = err_set(err, EINVAL, "\"listen_addr\" has to be an address in numbers");
	return r;
}

static void set_defaults(struct vd_config *cfg)
{
	*cfg = (struct vd_config){
		.socket = xasprintf("/run/libvirt/virthospesd-sock"),
		.socket_ro = xasprintf("/run/libvirt/virthospesd-sock-ro"),
		.tls = { .port = 16514,
		         .handshakes = 20,
		         .key_file = xasprintf("/etc/pki/libvirt/private/serverkey.pem"),
		         .cert_file = xasprintf("/etc/pki/libvirt/servercert.pem"),
		         .ca_file = xasprintf("/etc/pki/CA/cacert.pem") },
	};
}

static int all_of(json_t *o, struct vd_config *cfg, struct err *err)
{
	int r = keys_known(o, err);

	if (!r)
		r = text_of(o, "socket", &cfg->socket, err);
	if (!r)
		r = text_of(o, "socket_ro", &cfg->socket_ro, err);
	if (!r)
		r = text_of(o, "group", &cfg->group, err);
	if (!r)
		r = tls_of(o, &cfg->tls, err);
	if (!r)
		r = store_load(json_object_get(o, "pools"), &cfg->store, err);
	return r;
}

int vd_config_load(const char *path, struct vd_config *ret, struct err *err)
{
	_cleanup_free_ char *usual = path ? NULL : xasprintf("%s/virtd.json", path_conf()), *text = NULL;
	struct vd_config cfg;
	size_t len = 0;
	json_error_t wrong;
	json_t *o = NULL;
	int r = file_read(path ? path : usual, CONF_BYTES_MAX, &text, &len);

	set_defaults(&cfg);
	if (r == -ENOENT && !path) {
		r = store_load(NULL, &cfg.store, err);
		*ret = cfg;
		return r;
	}
	if (r < 0) {
		r = err_sys(err, r, "read %s", path ? path : usual);
	} else {
		json_plain(text, len);
		o = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
		r = json_is_object(o) ? all_of(o, &cfg, err)
		                      : err_set(err, EINVAL, "line %d: %s", wrong.line, o ? "no object" : wrong.text);
		if (r < 0)
			(void)err_prefix(err, "%s", path ? path : usual);
	}
	json_decref(o);
	if (r < 0)
		vd_config_done(&cfg);
	else
		*ret = cfg;
	return r;
}

void vd_tls_config_done(struct vd_tls_config *t)
{
	free(t->addr);
	free(t->key_file);
	free(t->cert_file);
	free(t->ca_file);
	free(t->crl_file);
	strings_done(&t->allowed);
	strings_done(&t->readonly);
	memset(t, 0, sizeof(*t));
}

void vd_config_done(struct vd_config *cfg)
{
	store_done(&cfg->store);
	vd_tls_config_done(&cfg->tls);
	free(cfg->socket);
	free(cfg->socket_ro);
	free(cfg->group);
	memset(cfg, 0, sizeof(*cfg));
}
