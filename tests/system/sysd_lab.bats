# SPDX-License-Identifier: GPL-2.0-or-later
# bats file_tags=long
# vmlab up --systemd: hosts with a real systemd, the units and programs as they are installed; the same commands as for other hosts.
load lib

setup_file() { need_systemd; VMLAB_VIRTD=yes lab_up 2; }
setup() { :; }
groups_left() { find /sys/fs/cgroup -maxdepth 2 -type d -name "vmlab-$VMLAB_NAME-*"; }

@test "a host is a systemd with the installed units; no unit has failed; programs are the installed ones" {
	local h
	for h in host-a host-b; do
		[ "$(on $h cat /proc/1/comm)" = systemd ]
		[ "$(on $h hostname)" = $h ]
		[ "$(on $h systemctl is-system-running)" = running ] || { on $h systemctl --failed >&2; false; }
		on $h systemctl is-active migrated
		on $h systemctl is-enabled migrated
		[[ $(on $h readlink -f "/proc/$(on $h systemctl show -P MainPID migrated)/exe") = /usr/*/migrated ]]
		on $h sh -c 'command -v vmctl' | grep -q '^/usr/'
		# a person's programs are in no unit's control group
		not on $h grep -q 'system.slice\|\.\.' /proc/self/cgroup
	done
}

@test "hospes-virtd is there by its sockets: killed it is back, stopped the next client starts it" {
	local pid
	virtd_pid() { on host-a systemctl show -P MainPID hospes-virtd; }
	another() { [ "$(virtd_pid)" != "$1" ] && [ "$(virtd_pid)" != 0 ]; }
	on host-a systemctl is-active hospes-virtd.socket hospes-virtd-ro.socket hospes-virtd.service
	pid=$(virtd_pid)
	vmlab service host-a kill virtd
	eventually 10 another "$pid"
	vmlab service host-a stop virtd
	[ "$(virtd_pid)" = 0 ]
	on host-a perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => q(/run/libvirt/virthospesd-sock-ro)) or die'
	eventually 10 another 0
}

@test "nothing of it is on the machine: no mounts, no programs, no changed kernel settings" {
	not grep -F "$VMLAB_DIR/$VMLAB_NAME/" /proc/self/mounts
	[ ! -e /run/systemd/nspawn/propagate/"vmlab-${VMLAB_NAME//_/-}-host-a" ]
	on host-a touch /tmp/of-host-a /run/of-host-a
	[ ! -e /tmp/of-host-a ] && [ ! -e /run/of-host-a ]
	not on host-b test -e /tmp/of-host-a
	not on host-a systemctl is-active systemd-udevd systemd-sysctl systemd-timesyncd
}

@test "status, services, power loss, reboot and poweroff" {
	local pid before
	pid=$(migrated_pid host-a)
	[ "$(cat "/proc/$pid/comm")" = migrated ]
	vmlab service host-a kill migrated
	[ "$(migrated_pid host-a)" != "$pid" ]
	[ -n "$(migrated_pid host-a)" ]
	vmlab service host-a restart migrated --once X_TEST=1
	grep -qz '^X_TEST=1' "/proc/$(migrated_pid host-a)/environ"
	vmlab service host-a restart migrated
	not grep -qz '^X_TEST=1' "/proc/$(migrated_pid host-a)/environ"
	vmlab service host-a stop migrated
	[ -z "$(migrated_pid host-a)" ]

	on host-a sh -c 'echo kept >/var/lib/hospes/note; echo kept >/opt/note; echo lost >/run/note'
	before=$(vmlab status --json | jq '.hosts[0].init_pid')
	on host-a systemctl reboot
	eventually 20 up_again "$before"
	[ "$(on host-a cat /var/lib/hospes/note /opt/note | sort -u)" = kept ]
	not on host-a test -e /run/note
	eventually 10 on host-a vmmig status
	on host-b systemctl poweroff
	eventually 20 host_down host-b
	vmlab start host-b
	vmlab kill host-b
	host_down host-b
	vmlab start host-b
	on host-b vmmig peers | grep -q host-a
}
up_again() { vmlab status --json | jq -e --argjson b "$1" '.hosts[0] | .state == "up" and .init_pid != $b'; }
host_down() { vmlab status --json | jq -e --arg h "$1" '.hosts[] | select(.name == $h) | .state == "down"'; }

@test "a frozen host stands still, and goes on" {
	local f=$SHARED/clock a b
	on host-b sh -c 'while sleep 0.1; do date +%s%N >/var/lib/hospes/shared/clock; done' >/dev/null 2>&1 3>&- &
	eventually 5 test -s "$f"
	vmlab freeze host-b
	sleep 0.2
	a=$(cat "$f")
	sleep 0.5
	[ "$(cat "$f")" = "$a" ]
	vmlab thaw host-b
	eventually 5 eval '[ "$(cat '"$f"')" != '"$a"' ]'
	# power loss of one that stands still
	vmlab freeze host-b
	vmlab kill host-b
	host_down host-b
}

@test "a block device that all hosts share, also after a boot" {
	vmlab disk d1 1
	on host-a sh -c 'echo hello | dd of=/dev/mapper/d1 conv=fsync status=none'
	vmlab start host-b
	on host-b test -b /dev/mapper/d1
	[ "$(on host-b head -c 5 /dev/mapper/d1)" = hello ]
}

@test "down leaves nothing: processes, namespaces, control groups, mounts, loop devices" {
	vmlab down
	not sh -c 'losetup -l | grep -F "$VMLAB_DIR/$VMLAB_NAME/"'
	[ -z "$(ip netns list | grep "hospes-$VMLAB_NAME-" || true)" ]
	[ -z "$(groups_left)" ] || { groups_left >&2; false; }
	not grep -F "$VMLAB_DIR/$VMLAB_NAME/" /proc/self/mounts
	[ -z "$(pgrep -f "machine=vmlab-${VMLAB_NAME//_/-}-" || true)" ]
	[ ! -e "$VMLAB_DIR/$VMLAB_NAME" ]
}
