/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Octets from TLS to hospes-virtd and back: see vtls.h. What waits is bounded, so who does not read is not read from. */
#include "config.h"
#include "virtd/vtls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/socket.h>

struct way {
	char data[VTLS_COPY_BYTES];
	size_t at, len;
	bool eof; /* nothing more comes */
};

struct copy {
	gnutls_session_t session;
	int plain;
	struct way in, out; /* to plain, to the client */
	bool over;
};

static bool waits(const struct way *w)
{
	return w->at < w->len;
}

/* Each of these four returns true if it got something done. */

static bool from_client(struct copy *c)
{
	ssize_t n;

	if (waits(&c->in) || c->in.eof)
		return false;
	n = gnutls_record_recv(c->session, c->in.data, sizeof(c->in.data));
	if (n == GNUTLS_E_AGAIN)
		return false;
	if (n == GNUTLS_E_INTERRUPTED)
		return true;
	if (n < 0) { /* broken, or it wants other keys: no client of libvirt does */
		c->over = true;
		return false;
	}
	c->in.at = 0;
	c->in.len = (size_t)n;
	if (!n) {
		c->in.eof = true;
		shutdown(c->plain, SHUT_WR);
	}
	return true;
}

static bool to_plain(struct copy *c)
{
	ssize_t n;

	if (!waits(&c->in))
		return false;
	n = send(c->plain, c->in.data + c->in.at, c->in.len - c->in.at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		c->over |= errno != EAGAIN && errno != EINTR;
		return errno == EINTR;
	}
	c->in.at += (size_t)n;
	return true;
}

static bool from_plain(struct copy *c)
{
	ssize_t n;

	if (waits(&c->out) || c->out.eof)
		return false;
	n = recv(c->plain, c->out.data, sizeof(c->out.data), MSG_DONTWAIT);
	if (n < 0) {
		c->over |= errno != EAGAIN && errno != EINTR;
		return errno == EINTR;
	}
	c->out.at = 0;
	c->out.len = (size_t)n;
	c->out.eof = !n;
	return true;
}

static bool to_client(struct copy *c)
{
	ssize_t n;

	if (!waits(&c->out))
		return false;
	n = gnutls_record_send(c->session, c->out.data + c->out.at, c->out.len - c->out.at);
	if (n < 0) {
		c->over |= n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED;
		return n == GNUTLS_E_INTERRUPTED;
	}
	c->out.at += (size_t)n;
	return true;
}

void vtls_copy(struct gnutls_session_int *session, int tls, int plain)
{
	struct copy c = { .session = session, .plain = plain };

	for (;;) {
		struct pollfd p[2] = { { .fd = tls }, { .fd = plain } };

		while (!c.over && (from_client(&c) | to_plain(&c) | from_plain(&c) | to_client(&c)))
			;
		if (c.over || (c.out.eof && !waits(&c.out)))
			return;
		p[0].events = (short)((!waits(&c.in) && !c.in.eof ? POLLIN : 0) | (waits(&c.out) ? POLLOUT : 0));
		p[1].events = (short)((!waits(&c.out) && !c.out.eof ? POLLIN : 0) | (waits(&c.in) ? POLLOUT : 0));
		/* who has hung up, and is waited for in no way, would not let it sleep */
		for (int i = 0; i < 2; i++)
			if (!p[i].events)
				p[i].fd = -1;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
	}
}
