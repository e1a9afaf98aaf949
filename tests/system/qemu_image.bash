# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What qemu_hosts.bash puts into the image that all its machines start from; who does what is decided by the host's name.

put() { mkdir -p "${1%/*}"; rm -f "$1"; cat >"$1"; } # FILE <text
unit() { local f=$ROOT/etc/systemd/system/$1; shift; printf '%s\n' "$@" | put "$f"; } # NAME LINE...
vm_settle() { # ROOT
	ROOT=$1
	local u i
	for u in hostname machine-id fstab; do : | put "$ROOT/etc/$u"; done
	{
		printf '%s\n' "127.0.0.1 localhost" "10.77.0.1 client"
		for i in 0:nfs 1:host-a 2:host-b 3:host-c; do echo "10.77.0.10${i%:*} ${i#*:}"; done
	} | put "$ROOT/etc/hosts"
	# what nobody needs here; udev's look at all devices alone takes a third of the boot
	for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service \
		getty-static.service systemd-timesyncd.service nfs-blkmap.service rpcbind.service rpcbind.socket rpc-statd.service rpc-gssd.service \
		rpc-svcgssd.service systemd-{logind,update-utmp,update-utmp-runlevel,binfmt,pstore}.service serial-getty@ttyS0.service \
		modprobe@{configfs,dm_mod,drm,efi_pstore,loop}.service systemd-udev-trigger.service nfs-idmapd.service; do
		ln -sf /dev/null "$ROOT/etc/systemd/system/$u"
	done
	printf '%s\n' i6300esb virtio_net tun fuse | put "$ROOT/etc/modules-load.d/lab.conf"
	printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' | put "$ROOT/etc/systemd/journald.conf.d/lab.conf"
	vm_net
	vm_shell
	vm_nfs
	vm_cluster
}

# eth0: the lab's network, by a bridge on hosts, for guests; eth1: orders
vm_net() {
	put "$ROOT/usr/local/sbin/lab-net" <<-'EOS'
		#!/bin/bash
		read -r -a words </proc/cmdline
		for w in "${words[@]}"; do [[ $w != lab.n=* ]] || n=${w#*=}; done
		until [ -e /sys/class/net/eth0 ] && [ -e /sys/class/net/eth1 ]; do sleep 0.1; done
		sysctl -q net.ipv6.conf.all.disable_ipv6=1
		dev=eth0
		if [ "$n" -gt 0 ]; then
			dev=br0
			ip link add br0 type bridge stp_state 0 forward_delay 0
			ip link set br0 address "$(</sys/class/net/eth0/address)"
			ip link set eth0 master br0 up
		fi
		ip link set lo up
		ip addr add "10.77.0.10$n/24" dev $dev
		ip link set $dev up
		ip addr add "10.78.0.10$n/24" dev eth1
		ip link set eth1 up
	EOS
	chmod 755 "$ROOT/usr/local/sbin/lab-net"
	unit lab-net.service '[Unit]' Wants=network.target 'Before=network.target network-online.target' \
		'After=local-fs.target systemd-modules-load.service' '[Service]' Type=oneshot RemainAfterExit=yes ExecStart=/usr/local/sbin/lab-net \
		'[Install]' 'WantedBy=multi-user.target network-online.target'
}

# A line in: a command. Out: its output, "rc=STATUS", its errors.
vm_shell() {
	put "$ROOT/usr/local/sbin/lab-shell" <<-'EOS'
		#!/bin/bash
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		exec 5>"/run/lab-shell.$$" 6<"/run/lab-shell.$$"
		rm "/run/lab-shell.$$"
		IFS= read -r line
		(eval "$line") 2>&5 5>&- 6<&-
		printf '\nrc=%d\n' $?
		cat <&6
	EOS
	chmod 755 "$ROOT/usr/local/sbin/lab-shell"
	# -t: by itself socat gives the side that still speaks half a second
	unit lab-shell.service '[Unit]' After=lab-net.service '[Service]' Restart=always OOMScoreAdjust=-1000 \
		'ExecStart=/usr/bin/socat -t 600 TCP-LISTEN:5000,fork,reuseaddr EXEC:/usr/local/sbin/lab-shell' '[Install]' WantedBy=multi-user.target
	# a fence agent, as clusterd calls them: options on standard input
	put "$ROOT/usr/sbin/fence_qemu" <<-'EOS'
		#!/bin/bash
		while IFS='=' read -r key value; do
			case $key in action) action=$value ;; port | plug) port=$value ;; esac
		done
		[ "$(echo "$action $port" | socat -t 60 - TCP:10.78.0.1:6000,connect-timeout=10)" = ok ]
	EOS
	chmod 755 "$ROOT/usr/sbin/fence_qemu"
}

vm_nfs() {
	unit lab-srv.service '[Unit]' ConditionHost=nfs After=lab-net.service '[Service]' Type=oneshot RemainAfterExit=yes \
		'ExecStart=/bin/mount /dev/vdb /srv/hospes' 'ExecStart=/bin/systemctl --no-block start nfs-server' '[Install]' WantedBy=multi-user.target
	mkdir -p "$ROOT/srv/hospes" "$ROOT/var/lib/hospes/shared"
	echo '/srv/hospes 10.77.0.0/24(rw,sync,no_root_squash,no_subtree_check,fsid=0)' | put "$ROOT/etc/exports"
	printf '%s\n' '[nfsd]' "lease-time=$HOSPES_VM_NFS_LEASE" "grace-time=$HOSPES_VM_NFS_LEASE" udp=n vers3=n | put "$ROOT/etc/nfs.conf"
	unit var-lib-hospes-shared.mount '[Unit]' 'ConditionHost=host-*' Wants=network-online.target After=network-online.target \
		Before=remote-fs.target '[Mount]' What=nfs:/ Where=/var/lib/hospes/shared Type=nfs4 Options=vers=4.2,hard,_netdev TimeoutSec=300 \
		'[Install]' WantedBy=remote-fs.target
}

vm_cluster() {
	local i
	mkdir -p "$ROOT/etc/hospes/fence.d" "$ROOT/var/log/hospes"
	echo '{ "measure": "domains", "memory": "512MiB", "cpus": 1 }' | put "$ROOT/etc/hospes/clusterd.json"
	{
		# for translated code: neither knet nor ciphers, which take half a processor there, and a token that a slow machine can hold
		printf 'totem {\n\tversion: 2\n\tcluster_name: soak\n\ttransport: udpu\n\ttoken: %s\n}\n' "$HOSPES_VM_TOKEN"
		printf 'quorum {\n\tprovider: corosync_votequorum\n\texpected_votes: 3\n}\nlogging {\n\tto_syslog: yes\n\ttimestamp: hires\n}\nnodelist {\n'
		for i in 1:host-a 2:host-b 3:host-c; do
			printf '\tnode {\n\t\tname: %s\n\t\tnodeid: %s\n\t\tring0_addr: 10.77.0.10%s\n\t}\n' "${i#*:}" "${i%:*}" "${i%:*}"
		done
		echo "}"
	} | put "$ROOT/etc/corosync/corosync.conf"
	for i in corosync hospes-guard migrated clusterd hospes-guests; do
		printf '[Unit]\nConditionHost=host-*\n' | put "$ROOT/etc/systemd/system/$i.service.d/lab.conf"
	done
	chroot "$ROOT" systemctl disable --quiet nfs-server
	chroot "$ROOT" systemctl enable --quiet lab-net lab-shell lab-srv var-lib-hospes-shared.mount corosync hospes-guard migrated clusterd
}
