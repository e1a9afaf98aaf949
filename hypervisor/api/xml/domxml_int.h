/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of this folder: small readers and writers over libxml2 nodes, in the words of domain XML.
 *
 * Texts returned are malloc'd (free()) unless said otherwise. Foreign namespaces are invisible to all of them.
 */
#ifndef HOSPES_HYPERVISOR_XML_DOMXML_INT_H
#define HOSPES_HYPERVISOR_XML_DOMXML_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libxml/tree.h>
#include "common/err.h"
#include "hypervisor/api/domcfg.h"

#define CHARS_MAX (2 * DOM_CONSOLES_MAX)

/* Where error texts go, and the origin that they name. */
struct dx {
	const char *origin; /* file name or the like; borrowed */
	struct err *err;    /* may be NULL */
};

/* "ORIGIN:LINE: element: reason", -EINVAL. */
int dx_fail(struct dx *x, const xmlNode *node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The line of an element, which libxml2 itself does not count beyond 65535. */
long dx_line(const xmlNode *node);

bool dx_is(const xmlNode *node, const char *name);
/* The first child element @name, NULL if there is none. @node may be NULL. */
xmlNode *dx_child(const xmlNode *node, const char *name);
/* The next sibling element with the same name. */
xmlNode *dx_next(const xmlNode *node);
/* As dx_child, but -EINVAL when there are two. *@ret is NULL when there is none. */
int dx_single(struct dx *x, const xmlNode *node, const char *name, xmlNode **ret) _must_check_;
/* The element's text without surrounding white space. NULL: out of memory. */
char *dx_text(const xmlNode *node);
/* An attribute's text, NULL when it is missing (or memory is). */
char *dx_attr(const xmlNode *node, const char *name);

/* The index of @text in @names (@n of them, NULL entries match nothing), -1 if it is not there. */
int dx_index(const char *text, const char *const *names, size_t n);

/* Refuse what is no absolute path in one line. @what: the attribute and a blank, or empty. */
int dx_path(struct dx *x, const xmlNode *node, const char *what, const char *path) _must_check_;

/* Writers; all create what is missing and return false when out of memory. */
xmlNode *dx_ensure(xmlNode *parent, const char *name, const xmlNode *after);
bool dx_put_text(xmlNode *node, const char *text);
bool dx_put_attr(xmlNode *node, const char *name, const char *value);
void dx_remove_attr(xmlNode *node, const char *name);
void dx_remove(xmlNode *node);

/* The nodes of <devices> that cfg->console[] describes, in order; at most @max. Returns how many there are. */
size_t dx_console_nodes(const xmlNode *devices, xmlNode **nodes, size_t max);

/* True for the <channel> of the guest's own agent, as virt-install writes it. */
bool dx_is_agent_channel(const xmlNode *node);
#define DX_AGENT_PORT "org.qemu.guest_agent.0"

/* Walk the document: refuse elements that no libvirt domain has, and list kept but unused elements in cfg->unknown. */
int dx_check_known(struct dx *x, const xmlNode *domain, struct dom_config *cfg) _must_check_;

/* Add a line to cfg->note, once. -ENOMEM. */
int dx_note(struct dom_config *cfg, const char *fmt, ...) __attribute__((format(printf, 2, 3))) _must_check_;

/* What is done about an element or attribute that this hypervisor does not use. */
enum dx_verdict {
	DX_UNKNOWN, /* no rule: it is kept and listed */
	DX_FINE,    /* nothing that anybody would miss */
	DX_NOTE,    /* harmless, with a line that says what comes of it */
	DX_REFUSE,  /* without it the guest's data or isolation would not be what the document says */
};
struct dx_rule {
	const char *path;  /* of the element, below domain/ */
	const char *attr;  /* of the element; NULL: the element itself, whatever its attributes */
	const char *value; /* of @attr; "!X": any but X; NULL: any */
	enum dx_verdict verdict;
	bool all;          /* for every type of domain; else for kvm and qemu */
	const char *text;  /* for people; NULL if FINE */
};
/* domxml_rules.c: the first rule for the element @node with @path (@attr NULL), or for its attribute @attr. NULL: there is none. */
const struct dx_rule *dx_rule(const xmlNode *node, const char *path, const char *attr, enum dom_type type);

/* domxml_parse.c: read a document, with the limits of dom_config_parse() but that of its size. */
int dx_read(struct dx *x, const char *xml, size_t len, xmlDoc **ret) _must_check_;

/*
 * domxml_plug.c: places for devices that come and go. The machine's number is a mark in <metadata>, a device's place is in its <alias>:
 * both libvirt's schema takes, and neither is ever written by others.
 */
int dx_parse_places(struct dx *x, const xmlNode *domain, struct dom_config *cfg) _must_check_; /* after the devices */
unsigned dx_parse_place(const xmlNode *device); /* 0: none */
bool dx_put_places(xmlNode *domain, const struct dom_config *cfg);
bool dx_put_place(xmlNode *device, unsigned place);

/* domxml_hvm.c: fill cfg->hvm from a document for kvm or qemu. */
int dx_parse_hvm(struct dx *x, const xmlNode *domain, struct dom_config *cfg) _must_check_;
int dx_parse_hvm_devices(struct dx *x, const xmlNode *devices, struct dom_config *cfg) _must_check_;

/* domxml_display.c: fill cfg->hvm.display, after the videos. */
int dx_parse_graphics(struct dx *x, const xmlNode *devices, struct dom_config *cfg) _must_check_;

/* domxml_arch.c: take the architecture @name of <os><type>; once all is read, refuse what does not go with it. */
int dx_arch(struct dx *x, const xmlNode *type, const char *name, struct dom_config *cfg) _must_check_;
int dx_check_arch(struct dx *x, const xmlNode *domain, struct dom_config *cfg) _must_check_;

/* domxml_bus.c: bus and name of a machine's disk, from <target>. */
int dx_parse_bus(struct dx *x, const xmlNode *target, const char *dev, struct dom_config *cfg, char ret_target[16],
                 struct dom_place *ret) _must_check_;
bool dx_is_empty_drive(const xmlNode *disk);
int dx_parse_drive(struct dx *x, const xmlNode *disk, struct dom_config *cfg) _must_check_; /* an empty one */
/* After all disks and drives were read: their places on the controllers. */
int dx_place_disks(struct dx *x, const xmlNode *devices, struct dom_config *cfg) _must_check_;
bool dx_put_place_of_disk(xmlNode *disk, const struct dom_disk *d);

bool dx_disk_is_left_out(const xmlNode *disk);
/* The disk nodes of <devices> that cfg->disk[] describes: the first one, and the one after @node. */
xmlNode *dx_first_disk(const xmlNode *devices, enum dom_type type);
xmlNode *dx_next_disk(const xmlNode *node, enum dom_type type);

/* Readers that fail by name: an attribute that must be there; one of @names. */
int dx_need_attr(struct dx *x, const xmlNode *node, const char *name, char **ret) _must_check_;
int dx_need_choice(struct dx *x, const xmlNode *node, const char *name, const char *const *names, size_t n, int *ret) _must_check_;

/* Names in XML, indexed by the enums of domcfg.h; shared by reader and writer. */
extern const char *const dx_dom_types[3];
extern const char *const dx_os_types[3];
extern const char *const dx_actions[3];
extern const char *const dx_watchdogs[6]; /* uml: the first four */
extern const char *const dx_caches[4];
extern const char *const dx_error_policies[4]; /* DOM_ERROR_STOP on */
extern const char *const dx_clocks[3]; /* uml: the first two */
extern const char *const dx_char_types[2];
extern const char *const dx_disk_types[2];
extern const char *const dx_disk_attrs[2];
extern const char *const dx_nic_types[2];
extern const char *const dx_nic_models[4];
extern const char *const dx_boot_devs[4];

/* domxml_os.c: fill cfg->fw and cfg->boot from <os>. */
int dx_parse_boot(struct dx *x, const xmlNode *os, struct dom_config *cfg) _must_check_;
/* Its <boot order> of a disk or an interface; *@ret stays without one. */
int dx_parse_order(struct dx *x, const xmlNode *device, const struct dom_config *cfg, unsigned *ret) _must_check_;

/* domxml_dev.c: fill cfg's device arrays from <devices> (may be NULL). */
int dx_parse_devices(struct dx *x, const xmlNode *devices, struct dom_config *cfg) _must_check_;
/* Generate the MACs of NICs that have none in the XML: stable for a uuid and an index, with libvirt's prefix. */
void dx_macs_generate(struct dom_config *cfg);

#endif
