#!/usr/bin/env bats
# hospes-virtd over TLS: the real virsh with certificates that are good or not, and clients that are none.
load ../retry
load own

# One CA, and what it and others made, for all tests of this file.
setup_file() {
	command -v virsh >/dev/null || skip "missing: virsh (libvirt-clients)"
	command -v certtool >/dev/null || skip "missing: certtool (gnutls-bin)"
	P=$BATS_FILE_TMPDIR
	export P
	authority ours
	authority theirs
	cert ours server localhost 'tls_www_server\ndns_name = "localhost"\nip_address = "127.0.0.1"\nip_address = "::1"'
	cert ours admin admin tls_www_client
	cert ours guest guest tls_www_client
	cert ours wrong_use admin tls_www_server
	cert ours revoked admin tls_www_client
	cert ours expired admin 'tls_www_client\nactivation_date = "2020-01-01 00:00:00"\nexpiration_date = "2020-02-01 00:00:00"'
	cert theirs foreign admin tls_www_client
	# virsh looks at its own certificate first, so it knows both; what the server has not asked for it does not send
	cat "$P/ours.pem" "$P/theirs.pem" >"$P/both.pem"
	ln -sf "$P/both.pem" "$P/pki-foreign/cacert.pem"
	printf 'crl_next_update = 30\ncrl_number = 1\n' >"$P/t"
	certtool --generate-crl --load-ca-certificate "$P/ours.pem" --load-ca-privkey "$P/ours.key" --load-certificate "$P/revoked.pem" \
		--template "$P/t" --outfile "$P/crl.pem" 2>/dev/null
}

# authority NAME; cert AUTHORITY NAME COMMON-NAME MORE
authority() {
	printf 'cn = "%s"\nca\ncert_signing_key\ncrl_signing_key\nencryption_key\nexpiration_days = 30\n' "$1" >"$P/t"
	certtool --generate-privkey --key-type ecdsa --outfile "$P/$1.key" 2>/dev/null
	certtool --generate-self-signed --load-privkey "$P/$1.key" --template "$P/t" --outfile "$P/$1.pem" 2>/dev/null
}
cert() {
	printf 'organization = "Hospes"\ncn = "%s"\nsigning_key\nencryption_key\nexpiration_days = 30\n'"$4"'\n' "$3" >"$P/t"
	[[ $4 != *expiration_date* ]] || sed -i /expiration_days/d "$P/t"
	# one key for all: making them takes longest. virsh wants certificates that may encrypt keys, so it is RSA
	[ -e "$P/key" ] || certtool --generate-privkey --key-type rsa --bits 2048 --outfile "$P/key" 2>/dev/null
	certtool --generate-certificate --load-privkey "$P/key" --load-ca-certificate "$P/$1.pem" --load-ca-privkey "$P/$1.key" \
		--template "$P/t" --outfile "$P/$2.pem" 2>/dev/null
	mkdir -p "$P/pki-$2"
	ln -s "$P/ours.pem" "$P/pki-$2/cacert.pem"
	ln -s "$P/$2.pem" "$P/pki-$2/clientcert.pem"
	ln -s "$P/key" "$P/pki-$2/clientkey.pem"
}

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T/run HOSPES_STATEDIR=$T/state HOSPES_LOGDIR=$T/log HOSPES_LIBEXEC=$T/lib HOSPES_CONFDIR=$T/etc
	mkdir -p "$HOSPES_LIBEXEC" "$T/etc"
	chmod 755 "$T"
	ln -s "$top_builddir/tests/unit/fake_hvdom" "$HOSPES_LIBEXEC/hvdom"
	cp "$P/server.pem" "$P/crl.pem" "$T/"
	cp "$P/key" "$T/server.key"
	free_port
	configure
	start
}

teardown() {
	[ -n "${T:-}" ] || return 0
	[ -n "${BATS_TEST_COMPLETED:-}" ] || cat "$T/virtd.log" >&2
	local rc=0 pid
	[ -z "${HELD:-}" ] || kill "$HELD" 2>/dev/null || true
	kill "$VIRTD" 2>/dev/null || true
	wait "$VIRTD" 2>/dev/null || rc=$?
	for pid in $(pids); do kill -9 "$pid" 2>/dev/null || true; done
	[ $rc -eq 0 ] || { echo "hospes-virtd ended with $rc" >&2; cat "$T/virtd.log" >&2; }
	rm -rf "$T"
	return $rc
}

free_port() {
	PORT=$((20000 + RANDOM % 10000))
	while ss -tln | grep -q ":$PORT "; do PORT=$((PORT + 1)); done
}
configure() { # MORE
	cat >"$T/etc/virtd.json" <<-J
		{"socket": "$T/sock", "socket_ro": "$T/sock-ro", "listen_tls": true, "tls_port": "$PORT", "key_file": "$T/server.key", "cert_file": "$T/server.pem",
		"ca_file": "$P/ours.pem", "crl_file": "$T/crl.pem", "tls_allowed_dn_list": ["*CN=admin"], "tls_readonly_dn_list": ["*CN=looks"]${1:-}}
	J
}
start() {
	local before
	before=$(grep -c "serves TLS" "$T/virtd.log" 2>/dev/null) || true
	"$top_builddir/virtd/hospes-virtd" >>"$T/virtd.log" 2>&1 3>&- &
	VIRTD=$!
	eventually served_more "${before:-0}"
}
served_more() { [ "$(grep -c "serves TLS" "$T/virtd.log")" -gt "$1" ]; }
# tls CERTIFICATE COMMAND...: virsh with it
tls() { timeout 60 virsh -q -c "hospes+tls://localhost:$PORT/system?pkipath=$P/pki-$1" "${@:2}"; }
v() { timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock" "$@"; }
# the process that accepts, and those of clients
parent() { pgrep -P "$VIRTD" hospes-virtd-tl; }
clients() { pgrep -P "$(parent)"; }
logged() { grep -qF -- "$1" "$T/virtd.log"; }

@test "a good certificate is served as the socket is, and its name is in the log" {
	cat >"$T/guest01.xml" <<-X
		<domain type='uml'><name>guest01</name><memory unit='MiB'>32</memory><os><type>linux</type></os></domain>
	X
	tls admin define "$T/guest01.xml"
	tls admin start guest01
	[ "$(tls admin list --all)" = "$(v list --all)" ]
	[ "$(tls admin dumpxml guest01)" = "$(v dumpxml guest01)" ]
	[ "$(tls admin hostname)" = "$(v hostname)" ]
	tls admin destroy guest01
	logged 'client 127.0.0.1:' || logged 'client [::1]:'
	logged '"O=Hospes,CN=admin"' || logged '"CN=admin,O=Hospes"'
	grep -q 'CN=admin.*": domain_define_xml\|CN=admin.*": .*define' "$T/virtd.log"
	# who was let in leaves nothing behind
	nobody() { [ -z "$(clients)" ]; }
	eventually nobody
}

@test "no certificate, one of another CA, expired, revoked, for servers only, or not in the list: refused, in libvirt's words, and the log says why" {
	local c why
	while IFS='|' read -r c why; do
		run tls "$c" list
		[ "$status" -ne 0 ]
		[[ $output = *"server verification (of our certificate or IP address) failed"* ]] || { echo "$c: $output" >&2; false; }
		logged "$why" || { echo "$c: no \"$why\"" >&2; false; }
	done <<-X
		guest|CN=guest
		guest|fits nothing in tls_allowed_dn_list
		foreign|it has no certificate
		revoked|revoked
	X
	# virsh itself refuses to use these
	while IFS='|' read -r c why; do
		gnutls-cli --x509cafile "$P/ours.pem" --x509certfile "$P/$c.pem" --x509keyfile "$P/key" -p "$PORT" localhost </dev/null >"$T/out" 2>&1 || true
		eventually logged "$why"
	done <<-X
		expired|expired
		wrong_use|purpose
	X
	gnutls-cli --x509cafile "$P/ours.pem" -p "$PORT" localhost </dev/null >"$T/out" 2>&1 || true
	eventually logged "it has no certificate"
	tls admin list
}

@test "what is no TLS, or ends in the middle, is hung up on, and others are served" {
	local k
	for k in 'GET / HTTP/1.0\r\n\r\n' '\x16\x03\x01\x02\x00\x01' '\x00\x00\x00\x1c\x20\x00\x80\x86\x00\x00\x00\x01' '\xff\xff\xff\xff\xff\xff'; do
		# shellcheck disable=SC2059 # octets
		printf "$k" | timeout 15 socat -u - "TCP:127.0.0.1:$PORT" || true
		head -c 100000 /dev/urandom | timeout 15 socat -u - "TCP:127.0.0.1:$PORT" 2>/dev/null || true
	done
	tls admin list
	eventually logged "handshake: "
	nobody() { [ -z "$(clients)" ]; }
	eventually nobody
}

@test "a thousand that never finish their handshake: as many processes as are allowed, and others are served" {
	configure ', "max_anonymous_clients": 8'
	kill "$VIRTD"
	wait "$VIRTD"
	: >"$T/virtd.log"
	start
	python3 -c 'import socket, sys, time
held = []
for i in range(1000):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.send(b"\x16\x03\x01\x02\x00\x01\x00" if i % 2 else b"")
    held.append(s)
print("held", flush=True)
time.sleep(60)' "$PORT" >"$T/held" 3>&- &
	HELD=$!
	eventually grep -q held "$T/held"
	[ "$(clients | wc -l)" -le 8 ]
	[ -n "$(tls admin hostname)" ]
	[ -n "$(v hostname)" ]
	[ "$(clients | wc -l)" -le 8 ]
	# they are hung up on in time
	nobody() { [ -z "$(clients)" ]; }
	eventually nobody
	[ "$(grep -c refused: "$T/virtd.log")" -le 60 ]
}

@test "killed: one client's process, or the one that accepts; other clients notice nothing" {
	local one two
	both() { [ "$(clients | wc -l)" -eq "$1" ]; }
	tls admin event --event lifecycle --loop >"$T/one" 2>&1 3>&- &
	one=$!
	eventually both 1
	local first
	first=$(clients)
	tls admin event --event lifecycle --loop >"$T/two" 2>&1 3>&- &
	two=$!
	eventually both 2
	kill -9 "$first"
	wait $one || true
	kill -0 $two
	eventually both 1
	kill -9 "$(parent)"
	[ -n "$(v hostname)" ]
	eventually tls admin list
	logged "another one is started"
	# the second client hears what happens still
	cat >"$T/guest01.xml" <<-X
		<domain type='uml'><name>guest01</name><memory unit='MiB'>32</memory><os><type>linux</type></os></domain>
	X
	heard() { v define "$T/guest01.xml" && v undefine guest01 && grep -q guest01 "$T/two"; }
	eventually heard
	kill $two
}

@test "new certificates and lists of revoked ones are taken without a restart; wrong ones are not" {
	tls admin list
	cp "$P/ours.key" "$T/server.key.new"
	mv "$T/server.key.new" "$T/server.key"
	eventually logged "the certificates from before are used on"
	tls admin list
	cp "$P/key" "$T/server.key"
	printf 'crl_next_update = 30\ncrl_number = 2\n' >"$T/t"
	cat "$P/revoked.pem" "$P/admin.pem" >"$T/both.pem"
	certtool --generate-crl --load-ca-certificate "$P/ours.pem" --load-ca-privkey "$P/ours.key" --load-certificate "$T/both.pem" \
		--template "$T/t" --outfile "$T/crl.pem" 2>/dev/null
	refused() { ! tls admin list && logged "revoked"; }
	eventually refused
	logged "revoked"
}

@test "its processes have no files, no rights and no user of others" {
	tls admin event --event lifecycle --loop >"$T/one" 2>&1 3>&- &
	local one=$! pid
	some() { [ -n "$(clients)" ]; }
	eventually some
	for pid in $(parent) $(clients); do
		if [ "$(id -u)" -eq 0 ]; then
			grep -qx 'Uid:.1744830448.*' "/proc/$pid/status"
			grep -q '^CapEff:.0*$' "/proc/$pid/status"
			[ "$(readlink "/proc/$pid/root")" = "$T/run/tls-root" ]
		fi
		grep -q '^NoNewPrivs:.1$' "/proc/$pid/status"
		grep -q '^Seccomp:.2$' "/proc/$pid/status" || ldd "$top_builddir/virtd/hospes-virtd-tls" | grep -q asan
	done
	[ "$(ls "/proc/$(clients)/fd" | wc -l)" -le 7 ]
	kill $one
}

@test "what cannot be is said at the start" {
	kill "$VIRTD"
	wait "$VIRTD"
	says() { # TEXT
		run timeout 30 "$top_builddir/virtd/hospes-virtd"
		[ "$status" -eq 1 ] && [[ $output = *"$1"* ]] || { echo "$output" >&2; return 1; }
	}
	mv "$T/server.key" "$T/key"
	says "key_file $T/server.key"
	cp "$P/ours.key" "$T/server.key"
	says "cert_file $T/server.pem, key_file $T/server.key"
	mv "$T/key" "$T/server.key"
	sed -i 's/"\*CN=admin"//; s/"\*CN=looks"//' "$T/etc/virtd.json"
	says "tls_allowed_dn_list has to say whose certificates are good"
	configure
	start
}
