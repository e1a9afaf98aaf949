/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elements of <metadata>, which belong to programs, one for each namespace: see domcfg.h. Any thread. */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <errno.h>
#include <string.h>
#include <libxml/parser.h>

#define X(s) ((const xmlChar *)(s))

static bool is_of(const xmlNode *n, const char *uri)
{
	return n->type == XML_ELEMENT_NODE && n->ns && n->ns->href && !strcmp((const char *)n->ns->href, uri);
}

static xmlNode *find(const struct dom_config *cfg, const char *uri)
{
	xmlNode *dom = cfg->doc ? xmlDocGetRootElement(cfg->doc) : NULL, *meta = dom ? dx_child(dom, "metadata") : NULL;

	for (xmlNode *n = meta ? meta->children : NULL; n; n = n->next)
		if (is_of(n, uri))
			return n;
	return NULL;
}

/* Elements of namespace @uri (NULL: of none) below @n, and @n itself, get @to. */
static void rename_to(xmlNode *n, const char *uri, xmlNs *to)
{
	for (; n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE && (uri ? is_of(n, uri) : !n->ns))
			xmlSetNs(n, to);
		rename_to(n->children, uri, to);
	}
}

/* Without its namespace, as libvirt's clients know it. */
int dom_config_metadata(const struct dom_config *cfg, const char *uri, char **ret, struct err *err)
{
	xmlNode *n = find(cfg, uri), *copy = NULL;
	xmlDoc *doc = n ? xmlNewDoc(X("1.0")) : NULL;
	xmlBuffer *b = n ? xmlBufferCreate() : NULL;
	int r = 0;

	*ret = NULL;
	if (!n)
		return 0;
	if (doc && b && (copy = xmlDocCopyNode(n, doc, 1))) {
		xmlDocSetRootElement(doc, copy);
		rename_to(copy, uri, NULL);
		xmlFreeNsList(copy->nsDef);
		copy->nsDef = NULL;
	}
	if (!copy || xmlNodeDump(b, doc, copy, 0, 1) < 0 || !(*ret = strdup((const char *)xmlBufferContent(b))))
		r = err_set(err, ENOMEM, "out of memory");
	xmlBufferFree(b);
	xmlFreeDoc(doc);
	return r;
}

/* @n is the whole document: its siblings are comments. */
int dom_config_set_metadata(struct dom_config *cfg, const char *uri, const char *key, const char *xml, struct err *err)
{
	xmlNode *old = find(cfg, uri), *dom = cfg->doc ? xmlDocGetRootElement(cfg->doc) : NULL, *meta, *root = NULL, *n;
	xmlDoc *doc = NULL;
	xmlNs *ns;

	if (!dom)
		return err_set(err, EINVAL, "the domain has no document");
	if (xml && (!*uri || !*key ||
	            !(doc = xmlReadMemory(xml, (int)strnlen(xml, DOM_XML_MAX), "(metadata)", NULL,
	                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)) ||
	            doc->intSubset || !(root = xmlDocGetRootElement(doc)) || root->ns || root->nsDef)) {
		xmlFreeDoc(doc);
		return err_set(err, EINVAL, "metadata is one element without a namespace, a URI and a prefix for it");
	}
	if (old)
		dx_remove(old);
	if (!doc)
		return 0;
	ns = xmlNewNs(root, X(uri), X(key));
	if (ns)
		rename_to(root, NULL, ns);
	meta = ns ? dx_ensure(dom, "metadata", NULL) : NULL;
	n = meta ? xmlDocCopyNode(root, meta->doc, 1) : NULL;
	if (n)
		xmlAddChild(meta, n);
	xmlFreeDoc(doc);
	return n ? 0 : err_set(err, ENOMEM, "out of memory");
}
