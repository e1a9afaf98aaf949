/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that come to a domain and leave it, and their places in a machine: see domcfg.h. A change is made to the document and read anew
 * as everybody reads it, so a device that comes is checked like any other. Any thread. ADR 88.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "hypervisor/api/domarch.h"

#define X(s)         ((const xmlChar *)(s))
#define MARK_NS      "urn:hospes:machine:1"
#define PLACE_PREFIX "ua-hospes-place" /* libvirt keeps aliases that begin with ua- */

unsigned dom_config_places(const struct dom_config *cfg)
{
	const struct dom_machine *m = cfg->type == DOM_TYPE_UML ? NULL : dom_machine(cfg, NULL);

	return m ? m->places : 0;
}

/* The document's words --------------------------------------------------------------------------------------------------- */

static unsigned number(const char *s)
{
	return isdigit((unsigned char)s[0]) && s[0] != '0' && !s[1] ? (unsigned)(s[0] - '0') : UINT16_MAX;
}

unsigned dx_parse_place(const xmlNode *device)
{
	xmlNode *alias = dx_child(device, "alias");
	_cleanup_free_ char *name = alias ? dx_attr(alias, "name") : NULL;

	return name && !strncmp(name, PLACE_PREFIX, strlen(PLACE_PREFIX)) ? number(name + strlen(PLACE_PREFIX)) : 0;
}

bool dx_put_place(xmlNode *device, unsigned place)
{
	char name[sizeof(PLACE_PREFIX) + 12];

	snprintf(name, sizeof(name), PLACE_PREFIX "%u", place);
	if (place)
		return dx_put_attr(dx_ensure(device, "alias", NULL), "name", name);
	if (dx_parse_place(device))
		dx_remove(dx_child(device, "alias"));
	return true;
}

static xmlNode *mark_of(const xmlNode *domain)
{
	xmlNode *meta = dx_child(domain, "metadata");

	for (xmlNode *n = meta ? meta->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && n->ns && n->ns->href &&
		    !strcmp((const char *)n->ns->href, MARK_NS) && !strcmp((const char *)n->name, "machine"))
			return n;
	return NULL;
}

bool dx_put_places(xmlNode *domain, const struct dom_config *cfg)
{
	xmlNode *mark = mark_of(domain), *meta;
	char text[12];

	if (!cfg->hvm.places) {
		if (mark)
			dx_remove(mark);
		return true;
	}
	if (!mark) {
		meta = dx_ensure(domain, "metadata", NULL);
		mark = meta ? xmlNewChild(meta, NULL, X("machine"), NULL) : NULL;
		xmlNs *ns = mark ? xmlNewNs(mark, X(MARK_NS), X("hospes")) : NULL;
		if (!ns)
			return false;
		xmlSetNs(mark, ns);
	}
	snprintf(text, sizeof(text), "%u", cfg->hvm.places);
	return dx_put_attr(mark, "places", text);
}

static int check_place(struct dx *x, const xmlNode *node, unsigned place, unsigned max, unsigned *taken)
{
	if (!place)
		return 0;
	if (place > max)
		return dx_fail(x, node, "its machine has places 1 to %u for devices that come and go, and no others",
		               max);
	if (*taken >> place & 1)
		return dx_fail(x, node, "place %u is given twice", place);
	*taken |= 1u << place;
	return 0;
}

int dx_parse_places(struct dx *x, const xmlNode *domain, struct dom_config *cfg)
{
	xmlNode *mark = mark_of(domain), *devices = dx_child(domain, "devices"), *n;
	_cleanup_free_ char *text = mark ? dx_attr(mark, "places") : NULL;
	unsigned max = dom_config_places(cfg), taken = 0;
	size_t i;
	int r = 0;

	if (mark) {
		cfg->hvm.places = number(text ? text : "");
		if (cfg->hvm.places > max)
			return dx_fail(x, mark, "places is not between 1 and %u, which such a machine has", max);
		max = cfg->hvm.places;
	}
	for (i = 0, n = dx_first_disk(devices, cfg->type); n && !r; n = dx_next_disk(n, cfg->type), i++)
		r = check_place(x, n, cfg->disk[i].place, max, &taken);
	for (i = 0, n = dx_child(devices, "interface"); n && !r; n = dx_next(n), i++)
		r = check_place(x, n, cfg->nic[i].place, max, &taken);
	return r;
}

/* Devices ---------------------------------------------------------------------------------------------------------------- */

bool dom_config_device(const struct dom_config *cfg, const char *key, struct dom_device *ret)
{
	char mac[18];

	for (size_t i = 0; i < cfg->n_disks; i++)
		if (!strcmp(cfg->disk[i].target, key)) {
			*ret = (struct dom_device){ .index = i, .place = cfg->disk[i].place };
			return true;
		}
	for (size_t i = 0; i < cfg->n_nics; i++) {
		const struct dom_nic *c = &cfg->nic[i];

		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2], c->mac[3],
		         c->mac[4], c->mac[5]);
		if (!strcasecmp(mac, key) || (*c->target && !strcmp(c->target, key))) {
			*ret = (struct dom_device){ .nic = true, .index = i, .place = c->place };
			return true;
		}
	}
	return false;
}

/* A document of one device. */
static int read_device(struct dx *x, const char *xml, size_t len, xmlDoc **ret)
{
	xmlDoc *doc = NULL;
	int r = len > DOM_XML_MAX ? err_set(x->err, E2BIG, "%s: is longer than %u octets", x->origin, DOM_XML_MAX)
	                          : dx_read(x, xml, len, &doc);
	xmlNode *root = r < 0 ? NULL : xmlDocGetRootElement(doc);

	if (!r && !dx_is(root, "disk") && !dx_is(root, "interface"))
		r = dx_fail(x, root, "only disks and interfaces come and go (<disk>, <interface>)");
	if (r < 0)
		xmlFreeDoc(doc);
	else
		*ret = doc;
	return r;
}

int dom_device_key(const char *xml, size_t len, const char *origin, char ret[20], struct err *err)
{
	struct dx x = { .origin = origin, .err = err };
	xmlDoc *doc;
	int r = read_device(&x, xml, len, &doc);

	if (r < 0)
		return r;
	xmlNode *root = xmlDocGetRootElement(doc), *named = dx_child(root, dx_is(root, "disk") ? "target" : "mac");
	_cleanup_free_ char *key = named ? dx_attr(named, dx_is(root, "disk") ? "dev" : "address") : NULL;
	if (!key || !*key || strlen(key) >= 20)
		r = dx_fail(&x, root, "does not say which one: %s is missing",
		            dx_is(root, "disk") ? "<target dev='...'/>" : "<mac address='...'/>");
	else
		strcpy(ret, key);
	xmlFreeDoc(doc);
	return r;
}

/* @cfg as a document that can be changed. */
static int document_of(const struct dom_config *cfg, xmlDoc **ret, struct err *err)
{
	struct dx x = { .origin = cfg->name, .err = err };
	_cleanup_free_ char *text = NULL;
	int r = dom_config_format(cfg, &text, err);

	return r < 0 ? r : dx_read(&x, text, strlen(text), ret);
}

/* Takes @doc. */
static int read_anew(const struct dom_config *cfg, xmlDoc *doc, const char *origin, struct dom_config **ret,
                     struct err *err)
{
	xmlChar *mem = NULL;
	int len = 0, r;

	xmlDocDumpFormatMemoryEnc(doc, &mem, &len, "UTF-8", 1);
	xmlFreeDoc(doc);
	r = mem ? dom_config_parse((const char *)mem, (size_t)len, origin, ret, err)
	        : err_set(err, ENOMEM, "out of memory");
	xmlFree(mem);
	if (!r)
		(*ret)->paths = cfg->paths;
	return r;
}

static int free_place(const struct dom_config *cfg, unsigned *place, struct err *err)
{
	unsigned max = cfg->hvm.places ? cfg->hvm.places : dom_config_places(cfg), taken = 0;

	for (size_t i = 0; i < cfg->n_disks; i++)
		taken |= 1u << cfg->disk[i].place;
	for (size_t i = 0; i < cfg->n_nics; i++)
		taken |= 1u << cfg->nic[i].place;
	if (*place && *place <= max && !(taken >> *place & 1))
		return 0;
	for (*place = 1; *place <= max; ++*place)
		if (!(taken >> *place & 1))
			return 0;
	*place = 0;
	return max ? err_set(err, ENOSPC, "domain '%s' has %u places for devices that come and go, and all are taken",
	                     cfg->name, max)
	           : 0;
}

int dom_config_attach(const struct dom_config *cfg, const char *xml, size_t len, const char *origin, unsigned place,
                      struct dom_config **ret, struct dom_device *ret_dev, struct err *err)
{
	struct dx x = { .origin = origin, .err = err };
	xmlDoc *doc = NULL, *dev = NULL;
	int r = free_place(cfg, &place, err);

	if (!r)
		r = read_device(&x, xml, len, &dev);
	if (!r)
		r = document_of(cfg, &doc, err);
	if (r < 0) {
		xmlFreeDoc(dev);
		return r;
	}
	bool nic = dx_is(xmlDocGetRootElement(dev), "interface");
	xmlNode *devices = dx_ensure(xmlDocGetRootElement(doc), "devices", NULL),
		*node = xmlDocCopyNode(xmlDocGetRootElement(dev), doc, 1);
	xmlFreeDoc(dev);
	if (!devices || !node || !xmlAddChild(devices, node) || !dx_put_place(node, place)) {
		xmlFreeDoc(doc);
		return err_set(err, ENOMEM, "out of memory");
	}
	r = read_anew(cfg, doc, origin, ret, err);
	if (r < 0)
		return r;
	*ret_dev = (struct dom_device){ .nic = nic,
		                        .index = (nic ? (*ret)->n_nics : (*ret)->n_disks) - 1,
		                        .place = place };
	if ((nic ? cfg->n_nics : cfg->n_disks) == ret_dev->index) {
		/* one on a controller needs none */
		if (!nic && !dom_disk_is_virtio(&(*ret)->disk[ret_dev->index]))
			(*ret)->disk[ret_dev->index].place = ret_dev->place = 0;
		return 0;
	}
	dom_config_free(*ret); /* a drive without a medium */
	*ret = NULL;
	return err_set(err, EINVAL, "%s: a drive without a medium cannot come alone", origin);
}

int dom_config_detach(const struct dom_config *cfg, const struct dom_device *dev, struct dom_config **ret,
                      struct err *err)
{
	xmlDoc *doc = NULL;
	int r = document_of(cfg, &doc, err);

	if (r < 0)
		return r;
	xmlNode *devices = dx_child(xmlDocGetRootElement(doc), "devices"),
		*n = dev->nic ? dx_child(devices, "interface") : dx_first_disk(devices, cfg->type);
	for (size_t i = 0; n && i < dev->index; i++)
		n = dev->nic ? dx_next(n) : dx_next_disk(n, cfg->type);
	if (n)
		dx_remove(n);
	return read_anew(cfg, doc, cfg->name, ret, err);
}

void dom_config_swap_devices(struct dom_config *cfg, struct dom_config *with)
{
	struct dom_config old = *cfg;

	memcpy(cfg->disk, with->disk, sizeof(cfg->disk));
	memcpy(cfg->nic, with->nic, sizeof(cfg->nic));
	cfg->n_disks = with->n_disks;
	cfg->n_nics = with->n_nics;
	cfg->doc = with->doc;
	memcpy(with->disk, old.disk, sizeof(old.disk));
	memcpy(with->nic, old.nic, sizeof(old.nic));
	with->n_disks = old.n_disks;
	with->n_nics = old.n_nics;
	with->doc = old.doc;
}
