/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest's screen can be seen: a Unix socket or a port of 127.0.0.1, to which VNC clients connect. The server is the engine's,
 * which never sees a client's own socket: it gets one end of a pair, and a relay carries the octets. So a guest that took QEMU over
 * holds no socket of the host's network, and hvdom counts its clients. ADR 89. Main thread.
 */
#ifndef HOSPES_HYPERVISOR_DISPLAY_H
#define HOSPES_HYPERVISOR_DISPLAY_H

#include <stdint.h>
#include <sys/types.h>
#include "common/err.h"
#include "common/loop.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hypercall.h"

#define DISPLAY_CLIENTS_MAX 16u  /* at once */
#define DISPLAY_ACCEPT_NS   (100ull * 1000000) /* between two that come: passwords are short */
#define DISPLAY_PORTS       1024u /* that are tried, from DOM_VNC_PORT_FIRST on */

struct display;

/* Gets @fd, its end of a client's connection, which is owned from then on, also on failure. */
typedef int display_client_fn(void *arg, int fd, struct err *err);

/*
 * Begin to listen where @cfg says; with privileges. @run_dir: the domain's, for a socket without a path. *@ret NULL: the guest has no
 * screen to be seen. -EADDRINUSE, -EACCES, -EEXIST, with place and remedy in @err. Nobody is let in before display_start().
 */
int display_listen(const struct dom_config *cfg, const char *run_dir, struct display **ret, struct err *err) _must_check_;
/* A socket's folder (borrowed), its name and inode, for who removes it when this process cannot. -1: there is none. */
int display_file(const struct display *s, const char **ret_name, ino_t *ret_ino);
/* Hand each client to @client. @s NULL: nothing to do. */
int display_start(struct display *s, struct loop *loop, display_client_fn *client, void *arg, struct err *err) _must_check_;
void display_where(const struct display *s, struct hv_display *ret); /* @s NULL: HV_DISPLAY_NONE */
void display_free(struct display *s); /* takes NULL; cuts its clients, removes the socket if this user may */

#endif
