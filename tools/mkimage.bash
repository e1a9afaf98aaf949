#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hospes-mkimage [OPTIONS] DIR: Debian of this machine's release as an image for guests, from the machine's own apt sources: DIR/disk.raw, and for
# engine pv DIR/initrd.img. DIR is there and empty. Run by `vmctl image make`, in a process namespace that ends with it; the tests make their own
# guests by it. Needs root and the network; mounts nothing on the machine. Says on standard output what it is about to do, a line each.
#   --engine pv|qemu   qemu: partitions, GRUB for BIOS and UEFI, Debian's kernel; pv: a file system, an initrd for the user-mode kernel (qemu)
#   --packages P,...   instead of those that such a guest has by default, but for what it boots by
#   --size MIB         of the file system; default: what is in it, and some room. It grows with its disk where cloud-init is in it
#   --label LABEL      of the file system (debian)
#   --append WORDS     for the kernel's command line; qemu
#   --hook PROGRAM     changes the tree before it becomes a file system: PROGRAM TREE
#   --no-initrd
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
die() { echo "hospes-mkimage: $*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }
helper() { # NAME: beside this file, installed or in the source tree
	for f in "$here/hospes-$1" "$here/$1".*sh; do
		if [ -e "$f" ]; then echo "$f"; return; fi
	done
	die "$here/hospes-$1 is missing: the installation is damaged"
}

engine=qemu size='' label=debian append='' hook='' initrd=1
packages=cloud-init,cloud-guest-utils,openssh-server,sudo,ifupdown,isc-dhcp-client,iproute2,procps,kmod,dbus,udev,less,ca-certificates
while [[ ${1:-} = --* ]]; do
	case $1 in
	--engine) engine=$2 ;;
	--packages) packages=$2 ;;
	--size) size=$2 ;;
	--label) label=$2 ;;
	--append) append=$2 ;;
	--hook) hook=$2 ;;
	--no-initrd) initrd=''; shift; continue ;;
	*) die "unknown option $1" ;;
	esac
	shift 2
done
[ $# -eq 1 ] && [[ $engine = pv || $engine = qemu ]] || die "usage: hospes-mkimage [--engine pv|qemu] [OPTIONS] DIR"
out=$(realpath "$1")
[ "$(id -u)" -eq 0 ] || die "needs root (packages set owners)"
need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || missing+=("$2")
}
missing=()
need mmdebstrap mmdebstrap
need mke2fs e2fsprogs
if [ "$engine" = qemu ]; then
	need mformat mtools
elif [ -n "$initrd" ]; then
	need busybox busybox-static
	need cpio cpio
fi
[ ${#missing[@]} -eq 0 ] || die "programs are missing: apt install ${missing[*]}"
modules=
if [ "$engine" = pv ]; then
	modules=$(find /usr/lib/uml/modules -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -V | tail -n 1)
	[ -d "$modules" ] || die "no modules below /usr/lib/uml/modules: apt install user-mode-linux"
fi

work=$out/.work root=$out/.work/root
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir -m 700 "$work"

# --- the tree
packages=systemd-sysv,$packages
[ "$engine" = pv ] || packages+=,linux-image-cloud-amd64,initramfs-tools,grub-pc-bin,grub-efi-amd64-bin,qemu-guest-agent
say "packages from the mirror"
# shellcheck disable=SC2086 # one word each
TMPDIR=$work bash "$(helper debtree)" "$root" ${packages//,/ }
for u in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$u"
done
echo "$label" >"$root/etc/hostname"
[ ! -d "$root/etc/network" ] || printf 'auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n' >"$root/etc/network/interfaces"
mkdir -p "$root/etc/systemd/system.conf.d" "$root/etc/sysctl.d"
printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$root/etc/systemd/system.conf.d/hospes.conf"
# whoever saw a guest at its place before hears that it is now elsewhere
echo "net.ipv4.conf.all.arp_notify = 1" >"$root/etc/sysctl.d/90-hospes.conf"
# what no two guests may share is made at the first start
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
if [ -d "$root/etc/cloud" ]; then
	cat >"$root/etc/cloud/cloud.cfg.d/90_hospes.cfg" <<-'END'
		# the seed of vmctl create and vmctl seed; nobody else is asked
		datasource_list: [NoCloud, None]
		apt:
		  preserve_sources_list: true
		locale: C.UTF-8
	END
fi

# --- what it boots by
if [ "$engine" = pv ]; then
	fstab="/dev/vda / ext4 rw,noatime,errors=remount-ro 0 1"
	kver=${modules##*/}
	copy_module() { # PATH, with what it depends on
		local dep
		[ ! -e "$root/lib/modules/$kver/$1" ] || return 0
		install -D -m 644 "$modules/$1" "$root/lib/modules/$kver/$1"
		for dep in $(sed -n "s|^$1:||p" "$modules/modules.dep"); do copy_module "$dep"; done
	}
	for m in $(cd "$modules" && find kernel/drivers/virtio kernel/drivers/block/virtio_blk.ko kernel/drivers/block/loop.ko kernel/drivers/net/virtio_net.ko \
		kernel/net/core kernel/drivers/char/virtio_console.ko kernel/net/ipv6 kernel/fs/overlayfs kernel/fs/isofs kernel/fs/fat kernel/fs/nls \
		-name '*.ko' 2>/dev/null); do
		copy_module "$m"
	done
	cp "$modules"/modules.* "$root/lib/modules/$kver/"
	for u in systemd-pcrphase.service systemd-pcrphase-sysinit.service getty-static.service getty@tty1.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$u"
	done
	if [ -n "$initrd" ]; then bash "$(helper mkinitrd)" "$out/initrd.img" "$(helper initrd-init)" "$modules"; fi
else
	fstab="LABEL=$label / ext4 rw,noatime,errors=remount-ro 0 1"
	say "boot loader"
	kernel=$(cd "$root/boot" && echo vmlinuz-*)
	mkdir -p "$root/boot/grub"
	cat >"$root/boot/grub/grub.cfg" <<-END
		serial --unit=0 --speed=115200
		terminal_input serial
		terminal_output serial
		set timeout=0
		menuentry Debian {
			linux /vmlinuz root=LABEL=$label ro console=ttyS0 quiet net.ifnames=0${append:+ $append}
			initrd /initrd.img
		}
	END
	# a later kernel of Debian's moves them
	[ -e "$root/vmlinuz" ] || ln -s "boot/$kernel" "$root/vmlinuz"
	[ -e "$root/initrd.img" ] || ln -s "boot/initrd.img-${kernel#vmlinuz-}" "$root/initrd.img"
	chroot "$root" grub-mkimage -O i386-pc -p '(hd0,msdos2)/boot/grub' -o /boot/grub/core.img biosdisk part_msdos ext2 normal linux serial terminal \
		configfile minicmd
	# for UEFI in a partition of its own, which firmware looks into by itself
	printf 'search --no-floppy --label %s --set=root\nconfigfile ($root)/boot/grub/grub.cfg\n' "$label" >"$root/boot/grub/efi.cfg"
	chroot "$root" grub-mkimage -O x86_64-efi -p /boot/grub -c /boot/grub/efi.cfg -o /boot/grub/BOOTX64.EFI part_msdos ext2 fat normal linux serial \
		terminal configfile minicmd search search_label
fi
echo "$fstab" >"$root/etc/fstab"
[ -z "$hook" ] || "$hook" "$root"

# --- the image
say "file system"
[ -n "$size" ] || size=$(($(du -sm --apparent-size "$root" | cut -f 1) * 12 / 10 + 160))
start=0 esp=2048 esp_kib=8192 # of the partitions, in sectors; the root file system is the last, so that it can grow
[ "$engine" = pv ] || start=$((esp + esp_kib * 2))
disk=$out/disk.raw
truncate -s $(((start << 9) + (size << 20))) "$disk"
mke2fs -q -F -t ext4 -L "$label" -E "offset=$((start * 512)),lazy_itable_init=0,lazy_journal_init=0" -d "$root" "$disk" "$((size << 10))k"
[ "$engine" = qemu ] || exit 0

truncate -s "${esp_kib}K" "$work/esp"
mformat -i "$work/esp" -v EFI -T $((esp_kib * 2)) -h 64 -s 32 ::
mmd -i "$work/esp" ::/EFI ::/EFI/BOOT
mcopy -i "$work/esp" "$root/boot/grub/BOOTX64.EFI" ::/EFI/BOOT/
dd if="$work/esp" of="$disk" bs=1M seek=$((esp / 2048)) conv=notrunc status=none
# the boot record, one partition of type EFI, one bootable of type Linux; boot.img loads sector 1, where the rest of GRUB begins, by itself
core=$root/boot/grub/core.img
[ "$(stat -c %s "$core")" -le $(((esp - 1) * 512)) ] || die "GRUB does not fit before the partition"
le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
part() { printf '\\x%02x\\xfe\\xff\\xff\\x%02x\\xfe\\xff\\xff%s%s' "$1" "$2" "$(le32 "$3")" "$(le32 "$4")"; } # FLAGS TYPE FIRST SECTORS
dd if="$root/usr/lib/grub/i386-pc/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
# shellcheck disable=SC2059 # escapes are meant
printf "$(part 0 239 $esp $((esp_kib * 2)))$(part 128 131 $start $((size << 11)))" | dd of="$disk" bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of="$disk" bs=1 seek=510 conv=notrunc status=none
dd if="$core" of="$disk" bs=512 seek=1 conv=notrunc status=none
