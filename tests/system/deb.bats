# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages of `make deb`, on a bare Debian host: installed, upgraded under running guests, refused to be removed under them, removed,
# purged. `make check-deb`. The tests build on each other, in this order.
load lib
load bare

# bats file_tags=long
at() { on host-a "$@"; }
setup_file() {
	need_debs
	export NEXT=$BATS_FILE_TMPDIR/next
	repack "$DEBS" "$NEXT" +next
	debs_up 1
	mkdir -p "$(host_dir host-a)/var/next"
	cp "$NEXT"/*.deb "$(host_dir host-a)/var/next"
}
teardown_file() { lab_down; }
setup() {
	[ ! -e "$BATS_FILE_TMPDIR/broken" ] || skip "what it builds on failed"
	[ -n "${NEXT:-}" ] || skip "setup_file"
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || {
		[[ $BATS_TEST_DESCRIPTION == lintian* || $BATS_TEST_DESCRIPTION == completion* ]] || touch "$BATS_FILE_TMPDIR/broken"
		at journalctl --no-pager -n 40 -u 'hospes*' -u clusterd -u migrated -u corosync >&2 || true
	}
}

apt() { on host-a env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get "${apt_opts[@]}" "$@" 3>\&-; }
unit_is() { [ "$(at systemctl show -P ActiveState "$1")" = "$2" ] || { at systemctl status --no-pager "$1"; return 1; } >&2; }
main_pid() { at systemctl show -P MainPID "$1"; }
boot_id() { at hospes-probe ask "$(guest_ip "$1"):7007" status | jq -r .boot_id; }
journal() { at journalctl --no-pager --boot -o cat -u "$1"; }
guests_alive() {
	[ "$(boot_id guest01; boot_id guest02)" = "$(cat "$BATS_FILE_TMPDIR/boots")" ] || { echo "a guest was started again" >&2; return 1; }
	[ "$(at pgrep -x hvdom | sort | head -20)" = "$(cat "$BATS_FILE_TMPDIR/pids")" ]
}

@test "lintian finds no error and no warning" {
	need_program lintian
	lintian --fail-on error,warning --allow-root "$DEBS"/hospes_*.changes
}

@test "files: multiarch, nothing of /usr/local, a manual page for each program, what pages and messages refer to is there" {
	local t=$BATS_TEST_TMPDIR/all d f
	for d in "$DEBS"/hospes{,-cluster,-lab,-doc}_*.deb; do dpkg-deb -x "$d" "$t"; done
	[ -x "$t/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/hospes/hospes-guests" ]
	[ ! -e "$t/usr/local" ]
	for f in "$t"/usr/share/man/man*/*.gz; do not grep -q /usr/local <(zcat "$f"); done
	not grep -rl /usr/local "$t/lib" "$t/etc" "$t/usr/lib" "$t/usr/sbin"
	for f in "$t"/usr/bin/* "$t"/usr/sbin/*; do
		compgen -G "$t/usr/share/man/man[18]/${f##*/}.[18].gz" >/dev/null || { echo "no manual page: $f"; return 1; }
		[ -e "$t/usr/share/bash-completion/completions/${f##*/}" ] || { echo "no completion: $f"; return 1; }
	done
	{
		zcat "$t"/usr/share/man/man*/*.gz
		strings -n 8 "$t"/usr/sbin/* "$t"/usr/bin/vmc*
	} | grep -oE '/usr/share/doc/hospes/[a-z/-]+\.md' | sort -u >"$BATS_TEST_TMPDIR/refs"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/refs")" -ge 6 ]
	while read -r f; do [ -s "$t$f" ] || { echo "missing: $f"; return 1; }; done <"$BATS_TEST_TMPDIR/refs"
}

@test "the manual pages as HTML: each of them, and no link is broken" {
	local t=$BATS_TEST_TMPDIR/all d f html
	for d in "$DEBS"/hospes{,-cluster,-lab,-doc}_*.deb; do dpkg-deb -x "$d" "$t"; done
	html=$t/usr/share/doc/hospes/man
	for f in "$t"/usr/share/man/man*/*.gz; do [ -s "$html/$(basename "$f" .gz).html" ] || { echo "not as HTML: $f"; return 1; }; done
	[ -s "$html/index.html" ]
	bash "$top_srcdir/tests/links.sh" "$html"
	grep -qF 'href="../fencing.md"' "$html"/clusterd.8.html
}

@test "install: units are there, nothing listens, guests would leave before a shutdown; directories, configuration, completion" {
	local before
	before=$(at cut -d: -f1 /etc/passwd)
	at sh -c 'cd /var/debs && DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install ./*.deb' 3>&-
	not grep hospes <(at cut -d: -f1 /etc/passwd) <(at cut -d: -f1 /etc/group)
	unit_is hospes-guests active
	at systemctl is-enabled hospes-guests
	for u in migrated clusterd hospes-guard; do
		unit_is $u inactive
		not at systemctl is-enabled $u
	done
	[ -z "$(at systemctl --failed --no-legend --plain | grep -E 'hospes|clusterd|migrated')" ]
	[ "$(at stat -c '%a %U' /run/hospes /var/lib/hospes /var/log/hospes | tr '\n' ,)" = "755 root,755 root,750 root," ]
	at clusterd --check
	[ "$(at vmctl list --name)" = "" ]
	# every setting is there, and taken when it is put in
	at sed -i 's,// "stop_grace_s": 30,"stop_grace_s": 31,' /etc/hospes/clusterd.json
	at clusterd --check
	at sed -i 's,// "local": "any",   "local": "some",' /etc/hospes/paths.json
	run at vmctl start nothing
	at sed -i 's,   "local": "some",// "local": "any",' /etc/hospes/paths.json
	at logrotate -d /etc/logrotate.d/hospes
}

# WORDS...: what the shell offers for the last
offers() {
	at bash -c '. /usr/share/bash-completion/completions/vmctl; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hospes; echo "${COMPREPLY[*]}"' sh "$@"
}
@test "completion: commands, options, values, of every program" {
	[[ " $(offers vmctl '') " == *" define "*" start "* ]]
	[ "$(offers vmctl sus)" = suspend ]
	[[ " $(offers vmmig push --) " == *" --downtime "* ]]
	[ "$(offers vmclus balance --auto '')" = "on off" ]
	[[ " $(offers vmlab '') " == *" up "*" cut "* ]]
	[[ " $(offers hospes-probe '') " == *" ask "* ]]
	[[ " $(offers vmlab up --) " == *" --no-cluster "* ]]
	[[ " $(offers hospes-guard --) " == *" --watchdog "* ]]
}

@test "services say when they are ready, log to the journal with priorities, and no guard is missed at start" {
	at sh -c "printf 'totem {\n version: 2\n cluster_name: pkg\n transport: udpu\n}\nquorum {\n provider: corosync_votequorum\n}\nnodelist {\n node {\n  name: host-a\n  nodeid: 1\n  ring0_addr: 10.77.0.101\n }\n}\nlogging {\n to_syslog: yes\n}\n' >/etc/corosync/corosync.conf"
	at systemctl restart corosync
	at systemctl enable --now hospes-guard clusterd migrated
	for u in hospes-guard clusterd migrated; do
		unit_is $u active
		[ "$(at systemctl show -P Type $u)" = notify ]
	done
	eventually 40 eval 'at vmclus status --json | jq -e .quorate'
	not grep 'does not run' <(journal clusterd)
	[ "$(at journalctl --boot -o json -u hospes-guard -u clusterd -u migrated | jq -r 'select(._TRANSPORT == "stdout") | .PRIORITY' | sort -u | tr -d '\n')" != "" ]
	not grep -E '^(error|warn|info|debug) +[0-9]+\.|^<' <(journal clusterd) <(journal hospes-guard) <(journal migrated)
	at journalctl --boot -o json -u hospes-guard | jq -se 'any(.PRIORITY == "6" and (.MESSAGE | tostring | startswith("guards;")))' >/dev/null
}

@test "guests: one of the cluster, one started by hand" {
	need_guest initramfs.img
	guest_xml guest01 load=light disk=32 mem=64 >"$SHARED/guest01.xml"
	guest_xml guest02 load=light disk=32 mem=64 >"$SHARED/guest02.xml"
	at vmclus define /var/lib/hospes/shared/guest01.xml
	at vmclus start guest01
	at vmctl define /var/lib/hospes/shared/guest02.xml
	at vmctl start guest02
	for g in guest01 guest02; do at hospes-probe wait "$(guest_ip $g):7007" --timeout $((60 * PATIENCE)); done
	{ boot_id guest01; boot_id guest02; } >"$BATS_FILE_TMPDIR/boots"
	at pgrep -x hvdom | sort >"$BATS_FILE_TMPDIR/pids"
	[ "$(wc -l <"$BATS_FILE_TMPDIR/pids")" -ge 2 ]
}

@test "upgrade: daemons are new, the guard is new in place, guests notice nothing, what was configured stays" {
	local guard clusterd migrated guests
	guard=$(main_pid hospes-guard) clusterd=$(main_pid clusterd) migrated=$(main_pid migrated)
	guests=$(at systemctl show -P ActiveEnterTimestampMonotonic hospes-guests)
	at sh -c 'cd /var/next && DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install ./*.deb' 3>&-
	[[ $(at dpkg-query -W -f '${Version}' hospes-cluster) == *+next ]]
	[ "$(main_pid hospes-guard)" = "$guard" ]
	grep -q 'executes /usr/sbin/hospes-guard anew' <(journal hospes-guard)
	[ "$(main_pid clusterd)" != "$clusterd" ]
	[ "$(main_pid migrated)" != "$migrated" ]
	[ "$(at systemctl show -P ActiveEnterTimestampMonotonic hospes-guests)" = "$guests" ]
	for u in hospes-guard clusterd migrated hospes-guests; do unit_is $u active; done
	sleep 9 # longer than a lease
	eventually 20 eval 'at vmclus status --json | jq -e .quorate'
	guests_alive
	at grep -q '"stop_grace_s": 31' /etc/hospes/clusterd.json
}

@test "removal is refused while guests run: of the cluster's package under its guests, of the other under any" {
	run apt remove hospes-cluster 3>&-
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"domain 'guest01' of the cluster runs here"* ]]
	run apt remove hospes 3>&-
	[ "$status" -ne 0 ]
	for u in hospes-guard clusterd migrated hospes-guests; do unit_is $u active; done
	# nothing refused that of the lab, which went first
	at sh -c 'cd /var/next && DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install ./hospes-lab_*.deb' 3>&-
	guests_alive
}

@test "hospes-cluster is removed when its guests are gone: no unit is left, a guest started by hand goes on" {
	local boot
	boot=$(boot_id guest02)
	at vmclus stop guest01
	apt remove hospes-lab hospes-cluster 3>&-
	not at systemctl is-active hospes-guard
	not at systemctl is-active clusterd
	not at pgrep -x hospes-guard
	unit_is migrated active
	unit_is hospes-guests active
	[ "$(at vmctl list --name)" = guest02 ]
	# back again, without a word to anybody: it was not purged
	at sh -c 'cd /var/next && DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install ./hospes-cluster_*.deb ./hospes-lab_*.deb' 3>&-
	at systemctl is-enabled hospes-guard clusterd
	at systemctl start clusterd
	eventually 40 eval 'at vmclus status --json | jq -e .quorate'
	eventually 40 eval "at vmclus status --json | jq -e '.hosts[] | select(.state == \"online\")'"
	[ "$(boot_id guest02)" = "$boot" ]
	at vmclus undefine guest01
}

@test "purge leaves what belongs to guests, and nothing else" {
	at vmctl destroy guest02
	at touch /etc/hospes/witness # by vmclus join --witness
	apt purge hospes-lab hospes-cluster hospes hospes-doc 3>&-
	for u in migrated clusterd hospes-guard hospes-guests; do not at systemctl is-active $u; done
	run at find / /etc /var /run -xdev '(' -name '*hospes*' -o -name 'clusterd*' -o -name 'migrated*' -o -name 'vmctl*' ')' \
		-not -path '/proc/*' -not -path '/var/debs/*' -not -path '/var/next/*' -not -path '/var/log/apt/*' -not -path '/var/lib/apt/*' -not -path '/sys/*'
	echo "$output"
	[ "$output" = /var/lib/hospes ]
	not at test -e /etc/hospes
	[ "$(at ls /var/lib/hospes | tr '\n' ' ')" = "domains leases shared " ] || [ "$(at ls /var/lib/hospes | tr '\n' ' ')" = "domains shared " ]
	[ -e "$SHARED/guest02.img" ]
	[ -z "$(at systemctl --failed --no-legend --plain | grep -E 'hospes|clusterd|migrated')" ]
}
