/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domains of this host, as vmctl and hospes-virtd know them: found, defined, started, ended, saved, restored. All
 * functions block, for as long as files and hvdom take. They keep no state, so threads may call them side by side, but
 * only one at a time may change a domain. They print and log nothing.
 */
#ifndef HOSPES_TOOLS_VMHOST_H
#define HOSPES_TOOLS_VMHOST_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/api/launch.h"

static inline void cleanup_hvcall(struct hvcall *c) { hvcall_close(c); }
#define _cleanup_hvcall_ __attribute__((cleanup(cleanup_hvcall)))

/* For who waits. Each pointer may be NULL. */
struct vmhost_while {
	const volatile sig_atomic_t *stop; /* once it is not 0, the work ends with -EINTR and is undone */
	void (*starting)(void *arg, const struct hvlaunch *l, uint64_t since_ns); /* each half second */
	void (*started)(void *arg);        /* or failed */
	/* often; @total_bytes 0: not known */
	void (*step)(void *arg, const char *what, uint64_t done_bytes, uint64_t total_bytes);
	void (*stepped)(void *arg);        /* the last step was made */
	void *arg;
};

/* What is known of one domain. */
struct vmhost_dom {
	char name[HV_NAME_MAX];
	bool defined;
	bool running;           /* answered: info is valid */
	bool dead;              /* its socket is there and nobody listens */
	bool silent;            /* hvdom is there but did not answer */
	struct hv_info info;
	struct dom_config *cfg; /* of the definition, owned; NULL: none or broken */
	struct err broken;      /* why the definition cannot be read; code 0: it can, or there is none */
};

struct vmhost_names {
	char (*name)[HV_NAME_MAX]; /* owned, sorted */
	size_t n;
};

/* "<state>/domains/NAME.xml", malloc'd. -EINVAL: @name is not a valid name. */
int vmhost_definition_path(const char *name, char **ret, struct err *err) _must_check_;
bool vmhost_is_defined(const char *name);
/*
 * Connect to a running domain. The text says whether it is unknown, shut off or dead. -ENOENT, -ECONNREFUSED,
 * -EACCES; as hvcall_open().
 */
int vmhost_connect(struct hvcall *c, const char *name, struct err *err) _must_check_;
/* True if an hvdom listens on the domain's socket. */
bool vmhost_is_running(const char *name);
/*
 * Wait at most @ms milliseconds for the end of @name's hvdom, which is at the other end of @c. False: it has not
 * ended.
 */
bool vmhost_wait_gone(struct hvcall *c, const char *name, unsigned ms, const volatile sig_atomic_t *stop);
/* The XML of the running domain at the other end of @c, malloc'd. */
int vmhost_running_xml(struct hvcall *c, char **ret, struct err *err) _must_check_;
const char *vmhost_state_name(uint32_t state); /* enum hv_dom_state */

/* Names with a run directory and, with @all, those of definitions. Not each of them is a domain: vmhost_look(). */
int vmhost_names(bool all, struct vmhost_names *ret, struct err *err) _must_check_;
void vmhost_names_done(struct vmhost_names *l);
/* @name is valid. Waits at most 3 s for hvdom. vmhost_dom_done() afterwards. */
void vmhost_look(struct vmhost_dom *d, const char *name);
/* As vmhost_look(). -EINVAL, -ENOENT: no such domain; then there is nothing to be done. */
int vmhost_find(struct vmhost_dom *d, const char *name, struct err *err) _must_check_;
void vmhost_dom_done(struct vmhost_dom *d);
/* All texts are borrowed. */
const char *vmhost_state(const struct vmhost_dom *d);  /* "running", "shut off"... */
const char *vmhost_reason(const struct vmhost_dom *d); /* why it is paused, or what it waits for; "": nothing to say */
const char *vmhost_uuid(const struct vmhost_dom *d);   /* "": unknown */
uint64_t vmhost_ram(const struct vmhost_dom *d);       /* bytes */
unsigned vmhost_vcpus(const struct vmhost_dom *d);

/*
 * Write @cfg's definition. One without a uuid gets that of the domain's present definition. -EEXIST: name or uuid is
 * another domain's; as dom_config_limits() and dom_config_format().
 */
int vmhost_define(struct dom_config *cfg, struct err *err) _must_check_;
int vmhost_undefine(const char *name, struct err *err) _must_check_; /* -ENOENT */
/* The XML in use, or (@inactive, or it does not run) of the definition; malloc'd. */
int vmhost_xml(const char *name, bool inactive, char **ret, struct err *err) _must_check_;

/* Start hvdom and wait until it is ready. A start that fails or is interrupted leaves nothing behind. */
int vmhost_launch(struct hvlaunch *l, const struct vmhost_while *w, struct err *err) _must_check_;
/* The same for the defined domain @l->name. -EPERM: it is the cluster's; -EEXIST: it runs. */
int vmhost_start(struct hvlaunch *l, const struct vmhost_while *w, struct err *err) _must_check_;
/*
 * Start a domain from @cfg, without defining it: it is forgotten when it ends. One without a uuid gets that of the
 * definition of its name, if there is one. -EEXIST: it runs, or name or uuid is another domain's; as vmhost_define() and
 * vmhost_start().
 */
int vmhost_start_once(struct dom_config *cfg, struct hvlaunch *l, const struct vmhost_while *w,
                      struct err *err) _must_check_;
/* End it at once. *@ret_killed: its process, if it did not answer and was killed; otherwise untouched. */
int vmhost_destroy(const char *name, const volatile sig_atomic_t *stop, pid_t *ret_killed,
                   struct err *err) _must_check_;

/* Save to @path and end it. If this fails, it runs on. */
int vmhost_save(const char *name, const char *path, const struct vmhost_while *w, uint64_t *ret_bytes,
                struct err *err) _must_check_;
/* Check the whole file @path, then let its domain go on. Of @l: log_level, and force: although the domain ran since. */
int vmhost_restore(const char *path, struct hvlaunch *l, const struct vmhost_while *w, char ret_name[HV_NAME_MAX],
                   struct err *err) _must_check_;

/* A document with one device, <disk> or <interface>. */
struct vmhost_device {
	const char *xml, *origin; /* origin: for messages */
	size_t len;
};
/* Give it to the running domain, as root: the files are opened by this host's rules. hypercall.md says what holds on failure. */
int vmhost_attach(const char *name, const struct vmhost_device *v, struct hv_attach_rep *ret, struct err *err) _must_check_;
/* Have the running domain's guest let go of @device: a disk's target, a NIC's MAC address or tap. -ETIMEDOUT, -EBUSY: it does not. */
int vmhost_detach(const char *name, const char *device, struct err *err) _must_check_;
/*
 * The same of the definition; @place: where it stands in the running domain, 0: anywhere. Without @write only whether it could be done.
 * -EPERM: the definition is the cluster's; -ENOENT: there is none, or no such device.
 */
int vmhost_attach_config(const char *name, const struct vmhost_device *v, unsigned place, bool write, struct err *err) _must_check_;
int vmhost_detach_config(const char *name, const char *device, bool write, struct err *err) _must_check_;

#endif
