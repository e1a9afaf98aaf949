/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client over TLS: the handshake, its certificate, and handing it over. See vtls.h. */
#include "config.h"
#include "virtd/vtls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "common/loop.h"
#include "common/util.h"
#include "virtd/vdtlsmsg.h"

#define PRIORITY      "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define HANDSHAKE_MAX 65536u /* octets of a handshake message */
#define KEY_BITS_MAX  8200u
#define CHAIN_MAX     8u

struct vtls_keys {
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
};

struct client {
	const struct vtls_keys *keys;
	gnutls_session_t session;
	int fd, chan;
	const char *addr;
	uint64_t until_ns; /* of the handshake */
};

static int load(struct vtls_keys *k, const char *key, const char *cert, const char *ca, const char *crl,
                struct err *err)
{
	int r = gnutls_certificate_allocate_credentials(&k->cred);

	if (r < 0)
		return err_set(err, ENOMEM, "certificates: %s", gnutls_strerror(r));
	r = gnutls_certificate_set_x509_trust_file(k->cred, ca, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return err_set(err, EINVAL, "ca_file %s: %s", ca, r ? gnutls_strerror(r) : "has no certificate");
	if (crl) {
		r = gnutls_certificate_set_x509_crl_file(k->cred, crl, GNUTLS_X509_FMT_PEM);
		if (r <= 0)
			return err_set(err, EINVAL, "crl_file %s: %s", crl, r ? gnutls_strerror(r) : "has no list");
	}
	r = gnutls_certificate_set_x509_key_file(k->cred, cert, key, GNUTLS_X509_FMT_PEM);
	if (r < 0)
		return err_set(err, EINVAL, "cert_file %s, key_file %s: %s", cert, key, gnutls_strerror(r));
	gnutls_certificate_set_verify_limits(k->cred, KEY_BITS_MAX, CHAIN_MAX);
	r = gnutls_priority_init(&k->priority, PRIORITY, NULL);
	return r < 0 ? err_set(err, EINVAL, "%s: %s", PRIORITY, gnutls_strerror(r)) : 0;
}

int vtls_keys_new(const char *key, const char *cert, const char *ca, const char *crl, struct vtls_keys **ret,
                  struct err *err)
{
	struct vtls_keys *k = calloc(1, sizeof(*k));
	int r = k ? load(k, key, cert, ca, crl, err) : err_sys(err, ENOMEM, "certificates");

	if (r < 0)
		vtls_keys_free(k);
	else
		*ret = k;
	return r;
}

void vtls_keys_free(struct vtls_keys *k)
{
	if (!k)
		return;
	if (k->priority)
		gnutls_priority_deinit(k->priority);
	if (k->cred)
		gnutls_certificate_free_credentials(k->cred);
	free(k);
}

/* False: not in time. */
static bool wait_for(const struct client *c, int fd, short events)
{
	for (;;) {
		uint64_t now = now_ns();
		struct pollfd p = { .fd = fd, .events = events };
		int r = now < c->until_ns ? poll(&p, 1, (int)((c->until_ns - now) / NS_PER_MS) + 1) : 0;

		if (r >= 0 || errno != EINTR)
			return r > 0;
	}
}

/* 0, or -errno. */
static int tell(const struct client *c, enum vdtls_kind kind, const char *text, int fd)
{
	char p[VDTLS_MSG_MAX];
	size_t len = vdtls_msg_write(kind, c->addr, text, p);
	int r;

	while ((r = sock_send_fds(c->chan, p, len, &fd, fd >= 0 ? 1 : 0)) == -EAGAIN && wait_for(c, c->chan, POLLOUT))
		;
	return r;
}

static bool shake_hands(struct client *c, char *why, size_t room)
{
	int r;

	while ((r = gnutls_handshake(c->session)) < 0 && !gnutls_error_is_fatal(r)) {
		if (r != GNUTLS_E_AGAIN)
			continue; /* a signal, or an alert that ends nothing */
		if (!wait_for(c, c->fd, gnutls_record_get_direction(c->session) ? POLLOUT : POLLIN)) {
			snprintf(why, room, "the handshake took more than %u s", VTLS_HANDSHAKE_S);
			return false;
		}
	}
	if (r < 0)
		snprintf(why, room, "handshake: %s", gnutls_strerror(r));
	return r >= 0;
}

/* As libvirt's lists have it. */
static int name_of(const gnutls_datum_t *der, char *dn, size_t room)
{
	gnutls_x509_crt_t crt;
	int r = gnutls_x509_crt_init(&crt);

	if (r < 0)
		return r;
	r = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = gnutls_x509_crt_get_dn(crt, dn, &room);
	gnutls_x509_crt_deinit(crt);
	return r;
}

static bool check(struct client *c, char *dn, size_t dn_room, char *why, size_t room)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
		                          .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned status = 0, n = 0;
	const gnutls_datum_t *list = gnutls_certificate_type_get(c->session) == GNUTLS_CRT_X509
	                                     ? gnutls_certificate_get_peers(c->session, &n)
	                                     : NULL;
	gnutls_datum_t text = { 0 };
	int r;

	if (!list || !n) {
		snprintf(why, room, "it has no certificate");
		return false;
	}
	r = gnutls_certificate_verify_peers(c->session, &purpose, 1, &status);
	if (!r && status) {
		r = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
		snprintf(why, room, "%s", r < 0 ? gnutls_strerror(r) : (char *)text.data);
		gnutls_free(text.data);
		return false;
	}
	if (!r)
		r = name_of(&list[0], dn, dn_room);
	if (r < 0)
		snprintf(why, room, "its certificate: %s", gnutls_strerror(r));
	return r >= 0;
}

/* As libvirt's server: another octet than 1 is "no", before any message. */
static void say_no(struct client *c)
{
	if (gnutls_record_send(c->session, "", 1) == 1)
		gnutls_bye(c->session, GNUTLS_SHUT_WR);
}

static void hand_over(struct client *c, const char *dn, int done)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return;
	_cleanup_close_ int ours = sv[0];
	int r = tell(c, VDTLS_CLIENT, dn, sv[1]);
	close(sv[1]);
	if (r < 0 || write(done, "", 1) != 1)
		return;
	vtls_copy(c->session, c->fd, ours);
	gnutls_bye(c->session, GNUTLS_SHUT_WR);
}

void vtls_serve(const struct vtls_keys *k, int fd, const char *addr, int chan, int done)
{
	struct client c = {
		.keys = k, .fd = fd, .chan = chan, .addr = addr, .until_ns = now_ns() + VTLS_HANDSHAKE_S * NS_PER_S
	};
	char dn[VDTLS_TEXT_MAX] = "", why[400] = "";

	/* no tickets: libvirt's clients want one octet before anything else, and no session is taken up again */
	if (gnutls_init(&c.session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0 ||
	    gnutls_priority_set(c.session, k->priority) < 0 ||
	    gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, k->cred) < 0)
		return;
	gnutls_certificate_server_set_request(c.session, GNUTLS_CERT_REQUEST);
	gnutls_handshake_set_max_packet_length(c.session, HANDSHAKE_MAX);
	gnutls_transport_set_int(c.session, fd);
	bool shaken = shake_hands(&c, why, sizeof(why));
	if (shaken && check(&c, dn, sizeof(dn), why, sizeof(why))) {
		hand_over(&c, dn, done);
	} else {
		if (shaken)
			say_no(&c);
		(void)!tell(&c, VDTLS_REFUSED, why, -1);
	}
	gnutls_deinit(c.session);
}
