/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-virtd-tls inside: the only program that speaks TLS for hospes-virtd, and the first that reads what strangers send. ADR 103.
 *
 * A parent process accepts, and forks one process for each client. That one shakes hands, checks the certificate,
 * passes a socket and the name to hospes-virtd (vdtlsmsg.h), and copies octets until one side ends. Neither has files, capabilities
 * or a user that anything else belongs to; what they may ask of the kernel is a list (vtls_confine.c). One thread each.
 */
#ifndef HOSPES_VIRTD_VTLS_H
#define HOSPES_VIRTD_VTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define VTLS_FD_CHANNEL  3    /* to hospes-virtd */
#define VTLS_FD_LISTEN   4
#define VTLS_HANDSHAKE_S 10u  /* a client that has not proved who it is by then is hung up on */
#define VTLS_COPY_BYTES  32768u /* that wait for one side, in each direction; more than a record of TLS */
#define VTLS_UID         0x67fffff0u /* beside those of domains (ADR 9) */

/* vtls_serve.c */
struct vtls_keys;
/* Read them; @crl NULL: none. -EINVAL with the text. */
int vtls_keys_new(const char *key, const char *cert, const char *ca, const char *crl, struct vtls_keys **ret, struct err *err) _must_check_;
void vtls_keys_free(struct vtls_keys *k); /* takes NULL */
/*
 * The life of a client's process: @fd is its socket, not blocking, @addr its address for the log, @chan leads to hospes-virtd. An
 * octet is written to @done once its certificate is good.
 */
void vtls_serve(const struct vtls_keys *k, int fd, const char *addr, int chan, int done);

/* vtls_copy.c */
struct gnutls_session_int;
/* Copy between the session over socket @tls and the socket @plain until one of them ends. Both do not block. */
void vtls_copy(struct gnutls_session_int *session, int tls, int plain);

/* vtls_confine.c */
struct vtls_filters;
/* Make the lists of system calls, while files can still be read. */
int vtls_filters_new(struct vtls_filters **ret, struct err *err) _must_check_;
/* Leave files, user and privileges behind. @root: an empty directory. As a user without privileges: only the list. */
int vtls_confine(const struct vtls_filters *f, const char *root, unsigned processes, struct err *err) _must_check_;
/* The shorter list of a client's process. 0 or -errno. */
int vtls_confine_client(const struct vtls_filters *f) _must_check_;

/* vtls_slots.c: who shakes hands, and who gives way. Pure. */
struct vtls_slot {
	pid_t pid;          /* 0: free */
	int pipe;           /* says that its certificate is good, or that it ended */
	uint8_t addr[16];   /* IPv6, or an IPv4 address mapped into it */
	uint64_t until_ns;  /* UINT64_MAX: its certificate is good */
};
struct vtls_slots { struct vtls_slot *slot; size_t n; unsigned handshakes_max, clients_max; };
/*
 * A free slot for another client. *@ret_victim: whose handshake has to give way, or NULL. It is the oldest of those from the network (an
 * IPv4 address, an IPv6 /64) that has most of them, so that a flood from one place hurts that place.
 * NULL: as many clients as may be are served already. With n of both limits together there is always one.
 */
struct vtls_slot *vtls_slot_for(struct vtls_slots *s, struct vtls_slot **ret_victim);
/* When the next handshake takes too long; UINT64_MAX: none is under way. */
uint64_t vtls_slots_deadline(const struct vtls_slots *s);

#endif
