#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of the initrd of an image for engine pv (mkimage.bash): loads modules, mounts the root file system and hands over to its init.
PATH=/bin:/sbin
export PATH
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec <>/dev/console >&0 2>&1

# in the order of their dependencies
while read -r m; do
	insmod "/lib/modules/$m" || echo "initrd: insmod $m failed"
done </lib/modules/order

root=/dev/vda
read -r line </proc/cmdline
for w in $line; do
	case $w in
	root=98:0) ;; # user-mode kernels add this one when none is given: their ubd disk, which is not there
	root=*) root=${w#root=} ;;
	esac
done
i=0
while [ ! -b "$root" ] && [ $i -lt 100 ]; do
	sleep 0.1
	i=$((i + 1))
done
mkdir -p /root
mount -t ext4 -o rw,noatime "$root" /root || {
	echo "initrd: cannot mount $root"
	poweroff -f
}
umount /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
