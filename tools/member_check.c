/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a member needs of its host, and whether it is there: addresses, MTU, ports, directories. See member_host.h. */
#include "config.h"
#include "tools/member_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/pathconf.h"
#include "tools/member_link.h"

#define CONNECT_MS 3000

bool host_is_address(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1;
}

/* The numeric form of an interface's address; false: it has none that another host could use. */
static bool usable(const struct ifaddrs *i, char to[64])
{
	return i->ifa_addr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) &&
	       !(i->ifa_flags & IFF_LOOPBACK) &&
	       getnameinfo(i->ifa_addr, sizeof(struct sockaddr_in), to, 64, NULL, 0, NI_NUMERICHOST) == 0;
}

int host_address(char *addr, size_t cap, struct err *err)
{
	struct ifaddrs *all = NULL;
	char a[64], found[64] = "", list[256] = "";
	unsigned n = 0;
	bool there = false;

	if (*addr && !host_is_address(addr))
		return err_set(
			err, EINVAL,
			"\"%s\" is no address of IPv4: a numeric one is needed, which does not depend on name servers",
			addr);
	if (getifaddrs(&all) < 0)
		return err_sys(err, errno, "this host's addresses");
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!usable(i, a))
			continue;
		there |= !strcmp(a, addr);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s", a);
		n++;
		snprintf(found, sizeof(found), "%s", a);
	}
	freeifaddrs(all);
	if (*addr)
		return there ? 0
		             : err_set(err, EINVAL, "%s is no address of this host; it has%s", addr,
		                       *list ? list : " none");
	if (n != 1)
		return err_set(err, EINVAL,
		               n ? "this host has several addresses: name the one for the cluster by --addr:%s"
		                 : "this host has no address of IPv4 but that of its loopback interface%s",
		               list);
	snprintf(addr, cap, "%s", found);
	return 0;
}

unsigned host_mtu(const char *addr)
{
	_cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifaddrs *all = NULL;
	struct ifreq q = { 0 };
	unsigned mtu = 0;
	char a[64];

	if (s < 0 || getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *i = all; i && !mtu; i = i->ifa_next) {
		if (!usable(i, a) || strcmp(a, addr) != 0)
			continue;
		snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", i->ifa_name);
		if (ioctl(s, SIOCGIFMTU, &q) == 0)
			mtu = (unsigned)q.ifr_mtu;
	}
	freeifaddrs(all);
	return mtu;
}

static int connect_within(const struct addrinfo *ai)
{
	_cleanup_close_ int s = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd fd = { .fd = s, .events = POLLOUT };
	int e = 0;
	socklen_t len = sizeof(e);

	if (s < 0)
		return -errno;
	if (connect(s, ai->ai_addr, ai->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&fd, 1, CONNECT_MS) <= 0)
		return -ETIMEDOUT;
	return getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? -errno : -e;
}

int host_connects(const char *address, uint16_t port, const char *what, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *ai = NULL;
	_cleanup_free_ char *service = xasprintf("%u", port);
	int r = getaddrinfo(address, service, &hints, &ai);

	if (r)
		return err_set(err, ENOENT, "no address is known for \"%s\": %s", address, gai_strerror(r));
	r = connect_within(ai);
	freeaddrinfo(ai);
	return r < 0 ? err_set(err, r, "%s cannot be reached on TCP port %u (%s): %s", address, port, what,
	                       strerror(-r))
	             : 0;
}

/* Could a daemon listen there? True also if that cannot be told. */
static bool port_free(const char *addr, int type, uint16_t port)
{
	_cleanup_close_ int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1;

	/* what was closed a moment ago is no reason */
	if (s < 0 || (type == SOCK_STREAM && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0))
		return true;
	if (addr && inet_pton(AF_INET, addr, &at.sin_addr) != 1)
		return true;
	return !(bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 && errno == EADDRINUSE);
}

int host_ports_free(const struct node *self, const char *addr, bool witness, struct err *err)
{
	const struct {
		const char *unit;
		uint16_t port;
		int type;
		bool domains;
	} ports[] = { { "hospes-member.socket", MEMBER_PORT, SOCK_STREAM, false },
		      { "migrated.service", self->port, SOCK_STREAM, true },
		      { "migrated.service", (uint16_t)(self->port + 1), SOCK_STREAM, true },
		      { "corosync.service", 5405, SOCK_DGRAM, false },
		      { "clusterd.service", 5418, SOCK_DGRAM, false } };

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		const char *active[] = { "systemctl", "--quiet", "is-active", ports[i].unit, NULL };
		bool tcp = ports[i].type == SOCK_STREAM;
		struct err e = { 0 };

		if ((witness && ports[i].domains) || port_free(tcp ? NULL : addr, ports[i].type, ports[i].port) ||
		    host_run(active, &e) == 0)
			continue;
		return err_set(
			err, EADDRINUSE,
			"%s port %u, which %s needs, is another program's on this host: ss -%slnp 'sport = :%u' names it",
			tcp ? "TCP" : "UDP", ports[i].port, ports[i].unit, tcp ? "t" : "u", ports[i].port);
	}
	return 0;
}

json_t *host_dirs(void)
{
	struct path_rules rules = { 0 };
	struct err err = { 0 };
	json_t *a = json_array();

	if (path_rules_load(&rules, &err) < 0)
		return a;
	for (size_t i = 0; i < rules.n[PATH_IMAGE]; i++)
		if (access(rules.root[PATH_IMAGE][i], F_OK) == 0)
			(void)json_array_append_new(a, json_string(rules.root[PATH_IMAGE][i]));
	path_rules_done(&rules);
	return a;
}
