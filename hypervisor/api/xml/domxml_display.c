/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads <graphics>: how the screen of a guest with a machine of its own can be seen. VNC, on a Unix socket, or with a password on a port of
 * 127.0.0.1: a port is every local user's, and VNC's password is weak and its pictures open, so nothing listens on a network. ADR 89.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A password as VNC has them: what is beyond 8 characters would not count. */
static int parse_password(struct dx *x, const xmlNode *node, struct dom_display *d)
{
	_cleanup_free_ char *word = dx_attr(node, "passwd"), *until = dx_attr(node, "passwdValidTo");
	struct tm tm = { 0 };
	char *end;

	if (word && (!*word || strlen(word) > DOM_VNC_PASSWORD_MAX))
		return dx_fail(x, node, "passwd has to be 1 to %d characters: VNC looks at no more",
		               DOM_VNC_PASSWORD_MAX);
	for (const char *s = word; s && *s; s++)
		if (*s <= ' ' || *s > '~')
			return dx_fail(x, node, "passwd may hold printable ASCII characters only");
	snprintf(d->password, sizeof(d->password), "%s", word ?: "");
	if (!until)
		return 0;
	end = strptime(until, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end || *end)
		return dx_fail(x, node, "passwdValidTo '%.40s' is no time as 2026-12-31T23:59:59 (UTC)", until);
	d->valid_until_s = timegm(&tm);
	return 0;
}

static int parse_port(struct dx *x, const xmlNode *node, struct dom_display *d)
{
	_cleanup_free_ char *text = dx_attr(node, "port"), *autoport = dx_attr(node, "autoport");
	char *end;

	if (autoport && strcmp(autoport, "yes") && strcmp(autoport, "no"))
		return dx_fail(x, node, "autoport '%.20s' is neither yes nor no", autoport);
	long v = text ? strtol(text, &end, 10) : -1;
	if (text && (*end || !*text || v < -1 || v > 65535 || (v > 0 && v < DOM_VNC_PORT_FIRST)))
		return dx_fail(x, node, "port '%.20s' is not between %d and 65535 (or -1: any)", text,
		               DOM_VNC_PORT_FIRST);
	d->port = v > 0 && !(autoport && !strcmp(autoport, "yes")) ? (unsigned)v : 0;
	return 0;
}

/* libvirt's own names for sockets are its choice, not the user's. */
static int parse_socket(struct dx *x, const xmlNode *node, const char *attr, struct dom_display *d)
{
	char *path = dx_attr(node, attr);

	d->tcp = false;
	if (!path || !strncmp(path, "/var/lib/libvirt/qemu/domain-", 29)) {
		free(path);
		return 0;
	}
	free(d->socket);
	d->socket = path;
	if (strlen(path) > DOM_SOCKET_PATH_MAX)
		return dx_fail(x, node, "the path of a socket has at most %d octets", DOM_SOCKET_PATH_MAX);
	return dx_path(x, node, "socket ", path);
}

static bool is_loopback(const char *address)
{
	return !strcmp(address, "127.0.0.1") || !strcmp(address, "localhost");
}

static int note_address(struct dom_config *cfg, const char *address)
{
	if (!address || is_loopback(address))
		return 0;
	return dx_note(cfg,
	               "devices/graphics listens on 127.0.0.1, not on %.60s: what VNC shows and is told crosses a "
	               "network unencrypted (ssh -L takes it along)",
	               address);
}

static int parse_listen(struct dx *x, const xmlNode *node, struct dom_config *cfg)
{
	static const char *const types[] = { "address", "network", "socket", "none" };
	_cleanup_free_ char *address = dx_attr(node, "address");
	int i, r = dx_need_choice(x, node, "type", types, ARRAY_SIZE(types), &i);

	if (r < 0)
		return r;
	if (i == 2)
		return parse_socket(x, node, "socket", &cfg->hvm.display);
	if (i == 3) {
		cfg->hvm.display.on = false;
		return 0;
	}
	return note_address(cfg, i == 0 ? address : address ?: "a network");
}

static int note_rest(const xmlNode *node, struct dom_config *cfg)
{
	static const char *const left_out[] = { "websocket", "keymap", "sharePolicy", "connected", "powerControl" };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(left_out); i++)
		if (xmlHasProp(node, (const xmlChar *)left_out[i]))
			r = dx_note(cfg, "devices/graphics/@%s is not done", left_out[i]);
	return r;
}

static int parse_vnc(struct dx *x, const xmlNode *node, struct dom_config *cfg)
{
	struct dom_display *d = &cfg->hvm.display;
	_cleanup_free_ char *address = dx_attr(node, "listen");
	xmlNode *listen = dx_child(node, "listen");
	int r;

	*d = (struct dom_display){ .on = true, .tcp = true };
	if ((r = parse_password(x, node, d)) < 0 || (r = parse_port(x, node, d)) < 0)
		return r;
	if (xmlHasProp(node, (const xmlChar *)"socket"))
		r = parse_socket(x, node, "socket", d);
	if (!r && !listen && d->tcp) /* libvirt writes the first <listen> here, too */
		r = note_address(cfg, address);
	if (!r && listen)
		r = parse_listen(x, listen, cfg);
	if (!r && listen && dx_next(listen))
		r = dx_note(cfg, "devices/graphics: only the first <listen> is there");
	if (!r)
		r = note_rest(node, cfg);
	if (r < 0 || !d->on || !d->tcp || *d->password)
		return r;
	d->tcp = false;
	return dx_note(cfg, "devices/graphics without passwd is on a Unix socket: every user of the host could open a "
	                    "port of it");
}

int dx_parse_graphics(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	static const char *const others[] = { "spice", "sdl", "rdp", "desktop", "egl-headless", "dbus" };
	bool seen = false;
	int r = 0;

	for (xmlNode *n = dx_child(devices, "graphics"); !r && n; n = dx_next(n)) {
		_cleanup_free_ char *type = dx_attr(n, "type");

		if (!type)
			return dx_fail(x, n, "attribute type is missing");
		if (dx_index(type, others, ARRAY_SIZE(others)) >= 0) {
			r = dx_note(cfg,
			            "devices/graphics of type '%s' is left out: the guest's screen can be had by VNC "
			            "(type='vnc')",
			            type);
			continue;
		}
		if (strcmp(type, "vnc"))
			return dx_fail(x, n, "type '%.40s' is not supported (vnc)", type);
		r = seen ? dx_note(cfg, "devices/graphics: only the first one of type 'vnc' is there")
		         : parse_vnc(x, n, cfg);
		seen = true;
	}
	if (!r && cfg->hvm.display.on && cfg->hvm.video == DOM_VIDEO_NONE)
		r = dx_note(cfg, "devices/graphics has nothing to show: the guest has no <video>");
	return r;
}

void dom_config_hide_secrets(struct dom_config *cfg)
{
	const xmlNode *dom = cfg->doc ? xmlDocGetRootElement(cfg->doc) : NULL;

	for (xmlNode *n = dx_child(dx_child(dom, "devices"), "graphics"); n; n = dx_next(n))
		dx_remove_attr(n, "passwd");
	memset(cfg->hvm.display.password, 0, sizeof(cfg->hvm.display.password));
}

static bool show_port(xmlNode *node, unsigned port)
{
	_cleanup_free_ char *autoport = dx_attr(node, "autoport"), *old = dx_attr(node, "port");
	bool chosen = !old || atoi(old) <= 0 || (autoport && !strcmp(autoport, "yes"));
	char text[12];

	snprintf(text, sizeof(text), "%u", port);
	return dx_put_attr(node, "port", text) && (!chosen || dx_put_attr(node, "autoport", "yes"));
}

static bool show_socket(struct dom_display *d, xmlNode *node, const char *socket)
{
	char *copy = strdup(socket);

	if (!copy || !dx_put_attr(node, "socket", copy)) {
		free(copy);
		return false;
	}
	free(d->socket);
	d->socket = copy;
	return true;
}

int dom_config_show_screen(struct dom_config *cfg, const char *socket, unsigned port)
{
	xmlNode *n = dx_child(dx_child(xmlDocGetRootElement(cfg->doc), "devices"), "graphics");

	for (; n && cfg->hvm.display.on; n = dx_next(n)) {
		_cleanup_free_ char *type = dx_attr(n, "type");

		if (type && !strcmp(type, "vnc"))
			return (port ? show_port(n, port) : show_socket(&cfg->hvm.display, n, socket)) ? 0 : -ENOMEM;
	}
	return 0;
}
