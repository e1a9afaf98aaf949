# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Storage that stops answering, as a hard-mounted NFS whose server is gone: the same file x.img on all hosts of a cluster (hangfs.c).
HANG=/var/lib/hospes/images/hang

hang_start() {
	local h
	cp -f "$top_builddir/tests/system/hangfs" "$SHARED/hangfs"
	for h in $(hosts_up); do
		at $h mkdir -p ${HANG%/*}
		at $h sh -c "/var/lib/hospes/shared/hangfs $HANG >/run/hangfs.log 2>&1 3>&- </dev/null & echo \$! >/run/hangfs.pid"
		eventually 5 at $h test -e $HANG/x.img || return 1
	done
}
hang_all() { local h; for h in $(hosts_up); do at $h sh -c "kill -$1 \$(cat /run/hangfs.pid)"; done; }
hang_begins() { hang_all USR1; }
hang_ends() { hang_all USR2; }
hang_umount() { local h; for h in $(hosts_up); do at $h umount -l $HANG 2>/dev/null || true; done; }
# hang_define NAME: a domain with that disk, which does not run
hang_define() {
	guest_xml $1 disk=0 load=none xml="<disk type='file' device='disk'><source file='$HANG/x.img'/><target dev='vda' bus='virtio'/></disk>"
	vc host-a define "/var/lib/hospes/shared/$1.xml"
}
