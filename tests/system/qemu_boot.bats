# SPDX-License-Identifier: GPL-2.0-or-later
# How guests of engine qemu boot: UEFI with variables that go where the domain goes, boot order, a seed for cloud-init, the guest's own agent.
load lib
load qemu_guests

setup() {
	qemu_setup 80
	rm -f "$SHARED/${g}_VARS.fd"*
}

# efi_xml NAME [key=value...]: as qemu_xml, with UEFI; its variables beside the image
efi_xml() {
	qemu_xml "$@"
	sed -i "s/<os>/<os firmware='efi'>/" "$SHARED/$1.xml"
}
efi_up() { # HOST NAME [key=value...]
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "missing: ovmf"
	local host=$1
	shift
	efi_xml "$@"
	on "$host" vmctl define "/var/lib/hospes/shared/$1.xml"
	on "$host" vmctl start "$1"
	qemu_wait "$1"
}
# in_guest HOST NAME COMMAND: what a shell on the guest's console answers
in_guest() { printf '%s\n' "$3" | on "$1" timeout 5 sh -c "(cat; sleep 3) | vmctl console $2" 2>&1 || true; }
var() { echo "/sys/firmware/efi/efivars/$1-6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e01"; }
# put_var HOST NAME VARIABLE VALUE: makes a variable; the kernel lets nobody change one that it does not know
put_var() { in_guest "$1" "$2" "printf '\\007\\000\\000\\000$4' >/tmp/v; cat /tmp/v >$(var "$3")" >/dev/null; }
has_var() { # HOST NAME VARIABLE VALUE
	local said
	said=$(in_guest "$1" "$2" "echo is-\"\$(tail -c +5 $(var "$3"))\"-end")
	[[ $said = *"is-$4-end"* ]] || { echo "wanted variable $3 to be $4: $said" >&2; return 1; }
}
efi_remove() { guest_remove "$1"; rm -f "$SHARED/$1_VARS.fd" "$SHARED/$1_VARS.fd.new"; }

@test "UEFI: a guest's variables survive a push, a stop and a start" {
	efi_up host-a "$g" mem=256 load=light
	[ "$(stat -c %s "$SHARED/${g}_VARS.fd")" = "$(stat -c %s /usr/share/OVMF/OVMF_VARS_4M.fd)" ]
	put_var host-a "$g" First value-first
	has_var host-a "$g" First value-first
	# it is in the file before anybody asks for it, and nothing is left beside
	eventually 5 grep -aq value-first "$SHARED/${g}_VARS.fd"
	eventually 5 eval "[ ! -s \$SHARED/${g}_VARS.fd.new ]"
	disk_locked "$SHARED/${g}_VARS.fd"
	pushes "$g" 1
	guest_sound "$g"
	has_var host-b "$g" First value-first
	put_var host-b "$g" Second value-second
	has_var host-b "$g" Second value-second
	on host-b vmctl destroy "$g"
	grep -aq value-second "$SHARED/${g}_VARS.fd"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	has_var host-a "$g" First value-first
	has_var host-a "$g" Second value-second
	efi_remove "$g"
}
