#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What all programs have in common: exit statuses, as hospes(7) lists them, and completion in bash.
load ../retry

: "${top_builddir:=$BATS_TEST_DIRNAME/../../build}"
: "${top_srcdir:=$BATS_TEST_DIRNAME/../..}"
PROGRAMS='tools/vmctl tools/vmmig tools/vmclus tools/vmlab tools/hospes-probe hypervisor/hvdom migrated/migrated clusterd/clusterd clusterd/hospes-guard virtd/hospes-virtd'

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T HOSPES_STATEDIR=$T/state HOSPES_CONFDIR=$T/conf HOSPES_LOGDIR=$T/log VMLAB_DIR=$T/labs
	mkdir "$T/conf"
	for p in $PROGRAMS; do PATH=$top_builddir/${p%/*}:$PATH; done
}
teardown() {
	[ -z "${SERVER:-}" ] || kill -9 "$SERVER" 2>/dev/null || true
	rm -rf "$T"
}
clusterd_says() { # OP LINE...
	local op=$1
	shift
	printf '%s\n' "$@" >"$T/$op"
	[ -n "${SERVER:-}" ] || { "$top_builddir/tests/unit/fake_clusterd" "$T" 3>&- & SERVER=$!; }
	for ((i = 0; i < 250; i++)); do [ ! -S "$T/clusterd.sock" ] || return 0; sleep 0.02; done
}
# ends STATUS WORD COMMAND...: it does, and the manual's list has WORD at that status
ends() {
	local want=$1 word=$2 rc=0
	shift 2
	awk -v s="$want" '/^\.Sh/ { in_list = /EXIT STATUS/ } /^\.It / { here = $2 == s } in_list && here' "$top_srcdir/docs/man/hospes.7" >"$T/item"
	grep -q "$word" "$T/item" || { echo "hospes(7) does not have '$word' at $want" >&2; return 1; }
	[ "$want" != 128+N ] || want=130
	timeout 20 "$@" >"$T/out" 2>&1 </dev/null || rc=$?
	[ "$rc" -eq "$want" ] || { echo "$*: $rc, not $want" >&2; cat "$T/out" >&2; return 1; }
}
interrupted() { # COMMAND...: by Ctrl-C, when clusterd has its order
	"$@" &
	local pid=$! i
	for ((i = 0; i < 250; i++)); do [ ! -s "$T/orders" ] || break; sleep 0.02; done
	kill -INT $pid
	wait $pid
}

@test "exit statuses are those that hospes(7) lists" {
	for p in $PROGRAMS; do
		ends 0 Done "${p##*/}" --help
		ends 2 'Wrong usage' "${p##*/}" --no-such-option
	done
	# what does not exist; a daemon that does not run; what is refused
	ends 1 'does not exist' vmctl dominfo nobody
	ends 1 'does not exist' vmctl define "$T/none.xml"
	ends 1 'does not exist' hvdom --check "$T/none.xml"
	ends 1 Failed vmmig status
	ends 1 Failed vmclus status
	echo '<domain/>' >"$T/bad.xml"
	ends 1 refused vmctl define "$T/bad.xml"
	clusterd_says start '{"type":"error","error":"it is tried on","code":"ETIMEDOUT"}'
	ends 1 'in time' vmclus start guest01 --timeout 1
	clusterd_says drain '{"type":"ok","complete":false,"left":1,"domains":[]}'
	ends 4 'in part' vmclus drain host-a --timeout 1
	clusterd_says rule-remove '{"type":"error","error":"there is no rule 4","code":"ENOENT"}'
	ends 1 'does not exist' vmclus rules remove 4
}

@test "interrupted: the status says so, and the order stands" {
	set -m # a shell without it starts what runs beside it deaf to SIGINT
	clusterd_says drain '#hold'
	rc=0
	interrupted vmclus drain host-a 2>"$T/err" || rc=$?
	[ "$rc" -eq 130 ]
	grep -q 'is being emptied on' "$T/err"
	grep -q '^\.It 128+N' "$top_srcdir/docs/man/hospes.7"
}

# completed WORDS...: what bash offers for the last of them
completed() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_hospes
	printf '%s\n' "${COMPREPLY[@]}"
}

@test "completion: each program, commands and options of their tables" {
	compopt() { :; } # of an interactive shell
	# shellcheck source=/dev/null
	. "$top_srcdir/tools/completion.bash"
	for p in $PROGRAMS; do
		complete -p "${p##*/}" >/dev/null || { echo "${p##*/} is not completed" >&2; return 1; }
	done
	for p in vmctl vmmig vmclus; do # one table has all: each command, and the options of the one that has most
		"$p" --commands | awk '{ print length, $0 }' | sort -n | cut -d ' ' -f 2- >"$T/table"
		completed "$p" '' >"$T/offered"
		while IFS=$'\t' read -r c _ options; do
			grep -qx -- "$c" "$T/offered" || { echo "$p: no $c" >&2; return 1; }
		done <"$T/table"
		IFS=$'\t' read -r c _ options < <(tail -n 1 "$T/table")
		IFS=$'\n' read -rd '' -a have < <(completed "$p" "$c" --) || true
		for o in $options; do
			[[ " ${have[*]} " = *" ${o%%=*} "* ]] || { echo "$p $c: no $o" >&2; return 1; }
		done
		[ ${#have[@]} -gt 5 ]
	done
	# programs without commands: their options
	for p in hvdom hospes-virtd; do
		completed "$p" -- | grep -q -- '^--' || { echo "$p: no options" >&2; return 1; }
	done
	# vmlab's commands, from its help
	completed vmlab '' | grep -qx up
	completed vmlab sta | grep -qx status
}
