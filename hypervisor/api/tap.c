/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tap interfaces by ioctl; see tap.h. No state, any thread. */
#include "config.h"
#include "hypervisor/api/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int set_iff(int fd, const char *name, char *ret_name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	snprintf(ret_name, IFNAMSIZ, "%s", ifr.ifr_name);
	return 0;
}

static int bring_up(int s, const char *name, const char *bridge, const uint8_t mac[6], unsigned mtu, struct err *err)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	ifr.ifr_hwaddr.sa_data[0] = (char)0xfe;
	if (ioctl(s, SIOCSIFHWADDR, &ifr) < 0)
		return err_sys(err, errno, "cannot set the address of tap %s", name);
	ifr.ifr_mtu = (int)mtu;
	if (mtu && ioctl(s, SIOCSIFMTU, &ifr) < 0)
		return err_sys(err, errno, "cannot set the MTU of tap %s to %u", name, mtu);
	if (*bridge) {
		struct ifreq br = { 0 };
		snprintf(br.ifr_name, sizeof(br.ifr_name), "%s", bridge);
		br.ifr_ifindex = (int)if_nametoindex(name);
		if (ioctl(s, SIOCBRADDIF, &br) < 0 && errno != EBUSY)
			return err_sys(err, errno,
			               "cannot put tap %s on bridge %s; does it exist (ip link show type bridge)?",
			               name, bridge);
	}
	if (ioctl(s, SIOCGIFFLAGS, &ifr) < 0)
		return err_sys(err, errno, "cannot read the flags of tap %s", name);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		return err_sys(err, errno, "cannot bring tap %s up", name);
	return 0;
}

int tap_open(const char *name, const char *bridge, const uint8_t mac[6], unsigned mtu, char *ret_name, int *ret_fd,
             struct err *err)
{
	char got[IFNAMSIZ];
	int hdr = TAP_HDR_BYTES, le = 1;

	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno, "cannot open /dev/net/tun (module tun)");
	int r = set_iff(fd, *name ? name : "vnet%d", got);
	/* names of this form are ours to choose, as libvirt does it: another host may have given this one */
	if (r == -EBUSY && !strncmp(name, "vnet", 4))
		r = set_iff(fd, "vnet%d", got);
	if (r == -EBUSY)
		return err_set(err, EBUSY, "the tap interface %s is in use by another program", name);
	if (r == -EPERM)
		return err_set(err, EPERM, "making a tap interface%s%s needs CAP_NET_ADMIN", *name ? " " : "", name);
	if (r < 0)
		return err_sys(err, -r, "cannot make the tap interface %s", *name ? name : "vnetN");
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0 || ioctl(fd, TUNSETVNETLE, &le) < 0)
		return err_sys(err, errno, "cannot set the header format of tap %s", got);
	r = tap_offload(fd, 0);
	if (r < 0)
		return err_sys(err, -r, "cannot set the offloads of tap %s", got);
	_cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return err_sys(err, errno, "cannot configure tap %s", got);
	r = bring_up(s, got, bridge, mac, mtu, err);
	if (r < 0)
		return r;
	memcpy(ret_name, got, sizeof(got));
	*ret_fd = steal_fd(&fd);
	return 0;
}

int tap_name(int fd, char *ret)
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	snprintf(ret, IFNAMSIZ, "%.15s", ifr.ifr_name);
	return 0;
}

int tap_offload(int fd, unsigned tun_f)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)tun_f) < 0 ? -errno : 0;
}
