/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads domain XML into struct dom_config: see domcfg.h; devices are in domxml_dev.c, writing is in domxml_format.c.
 *
 * Input may be hostile: at most 1 MiB, no document type (so no entities), no network, libxml2's own limits on depth, and a
 * bound on attributes, which libxml2 compares with one another. Any thread.
 */
#include "config.h"
#include "hypervisor/api/domcfg.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <libxml/parser.h>
#include <libxml/SAX2.h>
#include <libxml/xmlerror.h>
#include "common/util.h"
#include "hypervisor/api/xml/domxml_int.h"

#define EQUALS_MAX  10000u /* '=' between two '<': more attributes than any domain has */
#define VCPUS_MAX   255
#define CMDLINE_MAX 2048
#define MEMORY_MAX  (1ull << 46)
#define UML_KERNEL  "/usr/bin/linux.uml"
#define TOO_LARGE   "%s: is larger than a definition may be (%u octets, 1 MiB)"

static int oom(struct dx *x)
{
	return err_sys(x->err, ENOMEM, "%s", x->origin);
}

/* The text of an optional element; *@ret stays NULL when it is missing. */
static int get_text(struct dx *x, const xmlNode *parent, const char *name, xmlNode **ret_node, char **ret)
{
	int r = dx_single(x, parent, name, ret_node);

	if (r < 0 || !*ret_node)
		return r;
	*ret = dx_text(*ret_node);
	return *ret ? 0 : oom(x);
}

static int parse_name(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *name = NULL;
	xmlNode *node;
	int r = get_text(x, dom, "name", &node, &name);

	if (r < 0)
		return r;
	if (!node)
		return dx_fail(x, dom, "<name> is missing");
	if (!name_is_valid(name))
		return dx_fail(x, node,
		               "'%.80s' is no domain name: 1 to 63 of A-Z a-z 0-9 . _ + -, not starting with . or -",
		               name);
	strcpy(cfg->name, name);
	return 0;
}

static int generate_uuid(struct dx *x, char uuid[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_sys(x->err, errno, "%s: random uuid", x->origin);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
	         b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

static int parse_uuid(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *text = NULL;
	xmlNode *node;
	char out[37];
	size_t n = 0;
	int r = get_text(x, dom, "uuid", &node, &text);

	if (r < 0)
		return r;
	cfg->uuid_given = node;
	if (!node)
		return generate_uuid(x, cfg->uuid);
	for (const char *s = text; *s; s++) {
		size_t digits = n - (n > 8) - (n > 13) - (n > 18) - (n > 23);

		if (*s == '-' && (n == 8 || n == 13 || n == 18 || n == 23)) {
			out[n++] = '-';
			continue;
		}
		if (!isxdigit((unsigned char)*s) || digits >= 32)
			return dx_fail(x, node, "'%.60s' is no UUID", text);
		if (n == 8 || n == 13 || n == 18 || n == 23)
			out[n++] = '-';
		out[n++] = (char)tolower((unsigned char)*s);
	}
	if (n != 36)
		return dx_fail(x, node, "'%.60s' is no UUID", text);
	out[36] = 0;
	memcpy(cfg->uuid, out, sizeof(out));
	return 0;
}

/* Multiplier of a unit in libvirt's sense: none is KiB, KB is 1000, K and KiB are 1024. 0: not a unit. */
static uint64_t unit_factor(const char *unit)
{
	static const char letters[] = "KMGTPE";
	const char *at;
	uint64_t base, f = 1;

	if (!unit)
		return 1024;
	if (!strcasecmp(unit, "b") || !strcasecmp(unit, "byte") || !strcasecmp(unit, "bytes"))
		return 1;
	at = *unit ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
	if (!at)
		return 0;
	if (!unit[1] || !strcasecmp(unit + 1, "ib"))
		base = 1024;
	else if (!strcasecmp(unit + 1, "b"))
		base = 1000;
	else
		return 0;
	for (const char *l = letters; l <= at; l++)
		f *= base;
	return f;
}

static int parse_memory(struct dx *x, const xmlNode *dom, const char *name, uint64_t *bytes)
{
	_cleanup_free_ char *text = NULL, *unit = NULL;
	uint64_t value, factor, v;
	xmlNode *node;
	char *end;
	int r = get_text(x, dom, name, &node, &text);

	if (r < 0 || !node)
		return r;
	unit = dx_attr(node, "unit");
	factor = unit_factor(unit);
	if (!factor)
		return dx_fail(x, node, "unit '%.20s' is unknown (b, KB, KiB, MB, MiB, GB, GiB...)", unit);
	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end)
		return dx_fail(x, node, "'%.40s' is no number", text);
	if (errno || __builtin_mul_overflow(value, factor, &v) || v > MEMORY_MAX)
		return dx_fail(x, node, "%.40s%s is more than this hypervisor handles", text, unit ?: "KiB");
	if (!v)
		return dx_fail(x, node, "must not be 0");
	*bytes = (v + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	return 0;
}

static int parse_vcpu(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *text = NULL;
	xmlNode *node;
	char *end;
	long v;
	int r = get_text(x, dom, "vcpu", &node, &text);

	if (r < 0)
		return r;
	cfg->vcpus = 1;
	if (!node)
		return 0;
	v = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || v < 1 || v > VCPUS_MAX)
		return dx_fail(x, node, "'%.20s' is not between 1 and %d", text, VCPUS_MAX);
	cfg->vcpus = (unsigned)v;
	return 0;
}

static int parse_os_type(struct dx *x, const xmlNode *os, struct dom_config *cfg)
{
	_cleanup_free_ char *type = NULL, *arch = NULL;
	bool known;
	xmlNode *node;
	int r = get_text(x, os, "type", &node, &type);

	if (r < 0)
		return r;
	if (!node)
		return dx_fail(x, os, "<type> is missing");
	if (cfg->type == DOM_TYPE_UML)
		known = !strcmp(type, "linux") || !strcmp(type, "uml");
	else
		known = !strcmp(type, "hvm") || !strcmp(type, "linux");
	if (!known)
		return dx_fail(x, node, "'%.40s' does not go with domain type %s (%s)", type, dx_dom_types[cfg->type],
		               dx_os_types[cfg->type]);
	arch = dx_attr(node, "arch");
	r = arch ? dx_arch(x, node, arch, cfg) : 0;
	if (r < 0 || cfg->type == DOM_TYPE_UML)
		return r;
	cfg->machine = dx_attr(node, "machine");
	for (const char *s = cfg->machine; s && *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return dx_fail(x, node, "machine '%.60s' is no name of a machine", cfg->machine);
	return 0;
}

static int get_path(struct dx *x, const xmlNode *os, const char *name, char **ret)
{
	xmlNode *node;
	int r = get_text(x, os, name, &node, ret);

	if (r < 0 || !node)
		return r;
	return dx_path(x, node, "", *ret);
}

static int parse_os(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	xmlNode *os, *node;
	int r = dx_single(x, dom, "os", &os);

	if (r < 0)
		return r;
	if (!os)
		return dx_fail(x, dom, "<os> is missing");
	if ((r = parse_os_type(x, os, cfg)) < 0 || (r = get_path(x, os, "kernel", &cfg->kernel)) < 0 ||
	    (r = get_path(x, os, "initrd", &cfg->initrd)) < 0 ||
	    (r = get_text(x, os, "cmdline", &node, &cfg->cmdline)) < 0)
		return r;
	if (node) {
		if (strlen(cfg->cmdline) > CMDLINE_MAX)
			return dx_fail(x, node, "is longer than %d characters", CMDLINE_MAX);
		for (char *s = cfg->cmdline; *s; s++)
			if (*s == '\n' || *s == '\t' || *s == '\r')
				*s = ' '; /* a command line is one line */
	}
	if (cfg->type != DOM_TYPE_UML)
		return dx_parse_boot(x, os, cfg);
	if (cfg->kernel)
		return 0;
	cfg->kernel = strdup(UML_KERNEL);
	return cfg->kernel ? 0 : oom(x);
}

static int parse_clock(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *offset = NULL;
	xmlNode *node;
	int i, r = dx_single(x, dom, "clock", &node);

	if (r < 0 || !node)
		return r;
	offset = dx_attr(node, "offset");
	if (!offset)
		return dx_fail(x, node, "attribute offset is missing");
	i = dx_index(offset, dx_clocks, cfg->type == DOM_TYPE_UML ? DOM_CLOCK_VARIABLE : ARRAY_SIZE(dx_clocks));
	if (i < 0)
		return dx_fail(x, node, "offset '%.40s' is not supported (utc, localtime%s)", offset,
		               cfg->type == DOM_TYPE_UML ? "" : ", variable");
	cfg->clock = (enum dom_clock)i;
	return 0;
}

static int parse_action(struct dx *x, const xmlNode *dom, const char *name, enum dom_action fallback,
                        struct dom_config *cfg, enum dom_action *action)
{
	_cleanup_free_ char *text = NULL;
	xmlNode *node;
	int i, r = get_text(x, dom, name, &node, &text);

	if (r < 0)
		return r;
	*action = fallback;
	if (!node)
		return 0;
	i = dx_index(text, dx_actions, ARRAY_SIZE(dx_actions));
	if (i < 0 && cfg->type != DOM_TYPE_UML && !strcmp(name, "on_crash") && !strncmp(text, "coredump-", 9)) {
		i = dx_index(text + 9, dx_actions, DOM_ACTION_PRESERVE);
		if (i >= 0 && (r = dx_note(cfg, "on_crash is '%s': no dump is written", dx_actions[i])) < 0)
			return oom(x);
	}
	if (i < 0)
		return dx_fail(x, node, "'%.40s' is not supported (destroy, restart, preserve)", text);
	*action = (enum dom_action)i;
	return 0;
}

static int parse_titles(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	xmlNode *node;
	int r = get_text(x, dom, "title", &node, &cfg->title);

	if (!r && node && (!*cfg->title || strchr(cfg->title, '\n')))
		return dx_fail(x, node, "has to be one line of text");
	return r < 0 ? r : get_text(x, dom, "description", &node, &cfg->description);
}

/* type/model/label of the first <seclabel>; the label may hold slashes. */
static int parse_seclabel(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *type = NULL, *model = NULL, *label = NULL;
	xmlNode *node = dx_child(dom, "seclabel"), *text;

	if (!node)
		return 0;
	type = dx_attr(node, "type");
	model = dx_attr(node, "model");
	if (type && strcmp(type, "static") && strcmp(type, "dynamic") && strcmp(type, "none"))
		return dx_fail(x, node, "type '%.40s' is unknown (static, dynamic, none)", type);
	text = dx_child(node, "label");
	if (text && !(label = dx_text(text)))
		return oom(x);
	if (type && !strcmp(type, "static") && !text)
		return dx_fail(x, node, "<label> is missing");
	if (asprintf(&cfg->seclabel, "%s/%s/%s", type ?: "dynamic", model ?: "", label ?: "") < 0) {
		cfg->seclabel = NULL;
		return oom(x);
	}
	return 0;
}

static int parse_type(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	_cleanup_free_ char *type = NULL;
	int i;

	if (dom->ns && !strcmp((const char *)dom->name, "domain"))
		return dx_fail(x, dom, "is in the namespace '%.80s'; domain XML is in none, so leave out its xmlns",
		               (const char *)dom->ns->href);
	if (!dx_is(dom, "domain"))
		return dx_fail(x, dom, "the document is no <domain>");
	type = dx_attr(dom, "type");
	if (!type)
		return dx_fail(x, dom, "attribute type is missing (<domain type='uml'>)");
	i = dx_index(type, dx_dom_types, ARRAY_SIZE(dx_dom_types));
	if (i < 0)
		return dx_fail(x, dom, "type '%.40s' is not supported (uml, kvm, qemu)", type ?: "");
	cfg->type = (enum dom_type)i;
	return 0;
}

static int parse_domain(struct dx *x, const xmlNode *dom, struct dom_config *cfg)
{
	xmlNode *devices;
	int r;

	if ((r = parse_type(x, dom, cfg)) < 0 || (r = dx_check_known(x, dom, cfg)) < 0 ||
	    (r = parse_name(x, dom, cfg)) < 0 || (r = parse_uuid(x, dom, cfg)) < 0 ||
	    (r = parse_titles(x, dom, cfg)) < 0)
		return r;
	if ((r = parse_memory(x, dom, "memory", &cfg->memory_bytes)) < 0)
		return r;
	if (!cfg->memory_bytes)
		return dx_fail(x, dom, "<memory> is missing");
	cfg->current_memory_bytes = cfg->memory_bytes;
	if ((r = parse_memory(x, dom, "currentMemory", &cfg->current_memory_bytes)) < 0)
		return r;
	if (cfg->current_memory_bytes > cfg->memory_bytes)
		return dx_fail(x, dx_child(dom, "currentMemory"), "is more than <memory>");
	if ((r = parse_vcpu(x, dom, cfg)) < 0 || (r = parse_os(x, dom, cfg)) < 0 ||
	    (r = parse_clock(x, dom, cfg)) < 0 ||
	    (r = parse_action(x, dom, "on_poweroff", DOM_ACTION_DESTROY, cfg, &cfg->on_poweroff)) < 0 ||
	    (r = parse_action(x, dom, "on_reboot", DOM_ACTION_RESTART, cfg, &cfg->on_reboot)) < 0 ||
	    (r = parse_action(x, dom, "on_crash", DOM_ACTION_DESTROY, cfg, &cfg->on_crash)) < 0 ||
	    (r = parse_seclabel(x, dom, cfg)) < 0 || (r = dx_single(x, dom, "devices", &devices)) < 0)
		return r;
	if (cfg->type != DOM_TYPE_UML && (r = dx_parse_hvm(x, dom, cfg)) < 0)
		return r;
	r = dx_parse_devices(x, devices, cfg);
	if (r < 0 || cfg->type == DOM_TYPE_UML)
		return r;
	r = dx_check_arch(x, dom, cfg);
	return r < 0 ? r : dx_parse_places(x, dom, cfg);
}

/* libxml2's hook for <!DOCTYPE: domain XML has none, and without it there are no entities either. */
static void refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	xmlParserCtxt *ctxt = ctx;

	(void)name;
	(void)external;
	(void)system;
	*(bool *)ctxt->_private = true;
	xmlStopParser(ctxt);
}

static bool too_many_attributes(const char *xml, size_t len)
{
	unsigned equals = 0;

	for (size_t i = 0; i < len; i++) {
		if (xml[i] == '<')
			equals = 0;
		else if (xml[i] == '=' && ++equals > EQUALS_MAX)
			return true;
	}
	return false;
}

/* libxml2's lines of elements end at 65535. */
static void start_element(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_ns,
                          const xmlChar **ns, int n_attrs, int n_default, const xmlChar **attrs)
{
	xmlParserCtxt *ctxt = ctx;

	xmlSAX2StartElementNs(ctx, name, prefix, uri, n_ns, ns, n_attrs, n_default, attrs);
	if (ctxt->node && ctxt->input)
		ctxt->node->_private = (void *)(uintptr_t)ctxt->input->line; /* dx_line() */
}

static int syntax_error(struct dx *x, xmlParserCtxt *ctxt)
{
	const xmlError *e = xmlCtxtGetLastError(ctxt);
	size_t len;

	if (!e || !e->message)
		return err_set(x->err, EINVAL, "%s: no XML document", x->origin);
	if (e->code == XML_ERR_NO_MEMORY)
		return oom(x);
	if (e->code == XML_ERR_DOCUMENT_END && strstr(e->message, "Extra content"))
		return err_set(
			x->err, EINVAL,
			"%s:%d: something stands behind the document (of an installation in two steps virt-install "
			"writes two: --print-xml 1 is the first one)",
			x->origin, e->line);
	len = strcspn(e->message, "\n");
	return err_set(x->err, EINVAL, "%s:%d: no well-formed XML: %.*s", x->origin, e->line,
	               (int)(len > 300 ? 300 : len), e->message);
}

/* libxml2 prints some encoding errors whatever it is told; a library prints nothing. */
static void print_nothing(void *ctx, const char *msg, ...)
{
	(void)ctx;
	(void)msg;
}

int dx_read(struct dx *x, const char *xml, size_t len, xmlDoc **ret)
{
	xmlGenericErrorFunc old_print;
	xmlParserCtxt *ctxt;
	bool doctype = false;
	void *old_arg;
	xmlDoc *doc;
	int r = 0;

	xmlInitParser();
	ctxt = xmlNewParserCtxt();
	if (!ctxt)
		return oom(x);
	ctxt->_private = &doctype;
	ctxt->sax->internalSubset = refuse_doctype;
	ctxt->sax->startElementNs = start_element;
	/* the handler is the calling thread's */
	old_print = xmlGenericError;
	old_arg = xmlGenericErrorContext;
	xmlSetGenericErrorFunc(NULL, print_nothing);
	doc = xmlCtxtReadMemory(ctxt, xml, (int)len, NULL, NULL,
	                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS |
	                                XML_PARSE_NOCDATA | XML_PARSE_COMPACT);
	xmlSetGenericErrorFunc(old_arg, old_print);
	if (doctype)
		r = err_set(x->err, EINVAL, "%s: has a document type (<!DOCTYPE), which domain XML must not have",
		            x->origin);
	else if (!doc || !ctxt->wellFormed || !xmlDocGetRootElement(doc))
		r = syntax_error(x, ctxt);
	else if (ctxt->input && ctxt->input->cur < ctxt->input->end) /* libxml2 takes a NUL for the end */
		r = err_set(x->err, EINVAL, "%s:%d: a NUL is behind the document, which must end there", x->origin,
		            ctxt->input->line);
	if (r < 0)
		xmlFreeDoc(doc);
	else
		*ret = doc;
	xmlFreeParserCtxt(ctxt);
	return r;
}

int dom_config_parse(const char *xml, size_t len, const char *origin, struct dom_config **ret, struct err *err)
{
	struct dx x = { .origin = origin, .err = err };
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	xmlDoc *doc = NULL;
	int r;

	if (len > DOM_XML_MAX)
		return err_set(err, E2BIG, TOO_LARGE, origin, DOM_XML_MAX);
	if (too_many_attributes(xml, len))
		return err_set(err, EINVAL, "%s: an element with more attributes than any domain has", origin);
	cfg = calloc(1, sizeof(*cfg));
	if (!cfg)
		return oom(&x);
	r = dx_read(&x, xml, len, &doc);
	if (r < 0)
		return r;
	cfg->doc = doc;
	r = parse_domain(&x, xmlDocGetRootElement(doc), cfg);
	if (r < 0)
		return r;
	*ret = steal_ptr(&cfg);
	return 0;
}

int dom_config_load(const char *path, struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	size_t len = 0;
	int r = file_read(path, DOM_XML_MAX, &xml, &len);

	if (r == -EFBIG)
		return err_set(err, E2BIG, TOO_LARGE, path, DOM_XML_MAX);
	if (r < 0)
		return err_sys(err, r, "read domain %s", path);
	return dom_config_parse(xml, len, path, ret, err);
}

void dom_config_set_uuid(struct dom_config *cfg, const char *uuid)
{
	size_t len = strnlen(uuid, sizeof(cfg->uuid) - 1);

	memmove(cfg->uuid, uuid, len);
	cfg->uuid[len] = 0;
	dx_macs_generate(cfg);
}

void dom_config_free(struct dom_config *cfg)
{
	if (!cfg)
		return;
	for (size_t i = 0; i < cfg->n_disks; i++) {
		free(cfg->disk[i].source);
		free(cfg->disk[i].serial);
	}
	for (size_t i = 0; i < cfg->n_consoles; i++) {
		free(cfg->console[i].path);
		free(cfg->console[i].log);
	}
	for (size_t i = 0; i < cfg->n_unknown; i++)
		free(cfg->unknown[i]);
	free(cfg->unknown);
	for (size_t i = 0; i < cfg->n_notes; i++)
		free(cfg->note[i]);
	free(cfg->note);
	free(cfg->title);
	free(cfg->description);
	free(cfg->machine);
	free(cfg->kernel);
	free(cfg->initrd);
	free(cfg->cmdline);
	free(cfg->seclabel);
	free(cfg->fw.loader);
	free(cfg->fw.nvram);
	free(cfg->fw.template);
	free(cfg->hvm.display.socket);
	xmlFreeDoc(cfg->doc);
	free(cfg);
}
