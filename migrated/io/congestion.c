/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Congestion control of data connections: see congestion.h. */
#include <config.h>
#include "migrated/io/congestion.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>
#include "common/log.h"
#include "common/util.h"

#define WAIT_MS 500 /* once per stream, while hvdom gets ready */

/* The descriptor in the first event of @mon, -1: none came. See zmq_socket_monitor(3) for its form. */
static int connected_fd(void *mon)
{
	uint8_t ev[6];
	uint32_t fd;

	if (zmq_recv(mon, ev, sizeof(ev), 0) != sizeof(ev))
		return -1;
	memcpy(&fd, ev + 2, sizeof(fd));
	return (int)fd;
}

int congestion_connect(void *zmq, void *sock, const char *endpoint, const char *name)
{
	_cleanup_free_ char *at = xasprintf("inproc://connected-%p", sock);
	int wait = WAIT_MS, zero = 0, fd;
	bool own = strcmp(name, CONGESTION_SYSTEM) != 0;
	void *mon = own && zmq_socket_monitor(sock, at, ZMQ_EVENT_CONNECTED) == 0 ? zmq_socket(zmq, ZMQ_PAIR) : NULL;
	int r = 0;

	if (mon && (zmq_setsockopt(mon, ZMQ_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	            zmq_setsockopt(mon, ZMQ_LINGER, &zero, sizeof(zero)) < 0 || zmq_connect(mon, at) < 0)) {
		zmq_close(mon);
		mon = NULL;
	}
	if (zmq_connect(sock, endpoint) < 0)
		r = -errno;
	if (r == 0 && mon && (fd = connected_fd(mon)) >= 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) < 0)
		log_debug("congestion control %s: %s", name, strerror(errno));
	if (own)
		(void)zmq_socket_monitor(sock, NULL, 0);
	if (mon)
		zmq_close(mon);
	return r;
}
