/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host as a member of a cluster: its files (corosync.conf, authkey, pinned peers), its units, what its clusterd
 * says, and checks of what a member needs. All changes may be interrupted anywhere and repeated. Runs programs and
 * waits for them. HOSPES_COROSYNCDIR: instead of /etc/corosync, for tests.
 */
#ifndef HOSPES_TOOLS_MEMBER_HOST_H
#define HOSPES_TOOLS_MEMBER_HOST_H

#include <jansson.h>
#include "migrated/io/peers.h"
#include "tools/member_conf.h"

#define AUTHKEY_MAX 4096u

/* Files ------------------------------------------------------------------------------------------------------------ */

/*
 * corosync.conf, read and parsed. @ret_text is the caller's. -ENOENT with a text: there is none, or only Debian's
 * example.
 */
int host_conf(char **ret_text, struct conf *ret, struct err *err) _must_check_;
int host_conf_write(const char *text, struct err *err) _must_check_;
/*
 * This host asks the others to take it out: for the next two minutes (CLOCK_REALTIME, over a boot, too) it agrees to no other change,
 * since its vote may count for that one.
 */
int host_bind(struct err *err) _must_check_;
bool host_bound(void);
bool host_asked(void); /* has it asked since it came, and not come to an end with that? */
void host_unbind(void);
/* Corosync's key in hexadecimal, the caller's; a new one if @make. NULL with the text. */
char *host_authkey(bool make, struct err *err);
int host_authkey_write(const char *hex, struct err *err) _must_check_;
/* Pin @p, whatever was pinned by that name. Nothing is written when nothing changes. */
int host_pin(const struct peer *p, struct err *err) _must_check_;
/*
 * The hosts of @c as peers: this one, and the pinned ones. @add (may be NULL) besides. The array is the caller's; NULL
 * with the text.
 */
json_t *host_peers(const struct node *self, const struct conf *c, const struct peer *add, struct err *err);
/* No peer of this host is any more who is in list @old, and not in @now (NULL: nobody is). 0, also if repeated, or -errno. */
int host_unpin(const struct node *self, const struct conf *old, const struct conf *now, struct err *err) _must_check_;
/*
 * A list without some of the hosts of the present one is about to be written: whom host_gone_forget() unpins then, also after a crash.
 * Those that the list on disk (@now) has after all stay.
 */
int host_gone_note(const struct node *self, const struct conf *old, const struct conf *now, struct err *err) _must_check_;
int host_gone_forget(const struct node *self, const struct conf *now, struct err *err) _must_check_;
int host_peers_parse(const json_t *a, struct peers *ret, struct err *err) _must_check_; /* peers_done() frees @ret */

/* This host's role: <conf>/witness, which clusterd and the units look at. */
bool host_is_witness(void);
int host_witness_set(bool on, struct err *err) _must_check_;

/* Units ------------------------------------------------------------------------------------------------------------ */

/* Run @argv (NULL at the end) with its output put away; -EIO with the last line of what it said. */
int host_run(const char *const *argv, struct err *err) _must_check_;
/* -ENOTSUP: systemd is not pid 1, or a unit is not installed. @witness: what others need for domains may be missing. */
int host_units_ready(bool witness, struct err *err) _must_check_;
/* Before this host becomes a member: nothing runs by an older configuration, and no older state is left. */
int host_clear(struct err *err) _must_check_;
int host_units_start(struct err *err) _must_check_;  /* enabled, too */
int host_units_stop(struct err *err) _must_check_;   /* disabled, too; the guard goes on, as nothing stops it by name */
int host_reload(struct err *err) _must_check_;       /* all Corosyncs of its membership read their files, if this one has not */
/* The same, when this one is told by another membership's change: it may be about to read its file by itself. */
int host_read(struct err *err) _must_check_;

/* The cluster as clusterd says ------------------------------------------------------------------------------------- */

int host_status(json_t **ret, struct err *err) _must_check_; /* docs/wire/clusterctl.md, status */
const char *host_state_of(const json_t *status, const char *name); /* "online" ...; "": there is none. Borrowed */
/* Does clusterd decide, in a view of a majority, by just the list @c? -EAGAIN with the text. */
int host_goes_by(const struct conf *c, struct err *err) _must_check_;
/*
 * Wait until clusterd says that it is quorate and, if @name is not NULL, that this host is online. -ETIMEDOUT with what
 * is missing.
 */
int host_wait(const char *name, unsigned wait_s, struct err *err) _must_check_;

/* Checks ----------------------------------------------------------------------------------------------------------- */

bool host_is_address(const char *text); /* of IPv4, which is what migrated speaks; nothing that resolves to one */
/*
 * Check that @addr is an address of this host, or find the one that it has and write it there (@cap). -EINVAL names the
 * choices.
 */
int host_address(char *addr, size_t cap, struct err *err) _must_check_;
unsigned host_mtu(const char *addr);    /* of the interface with that address; 0: none */
/* Can a TCP connection be made? -errno with the text. */
int host_connects(const char *address, uint16_t port, const char *what, struct err *err) _must_check_;
/*
 * Have no other programs the ports of those daemons that do not run yet? @addr: this host's. @witness: migrated's do not count.
 * -EADDRINUSE names the port, and how to see who has it.
 */
int host_ports_free(const struct node *self, const char *addr, bool witness, struct err *err) _must_check_;
json_t *host_dirs(void);                /* the directories for images that exist here; the caller's */

#endif
