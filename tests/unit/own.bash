# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# For tests whose daemons and stand-ins have a directory of their own, $T.

# What listens there: the hvdoms of this test only
pids() { ss -xlp 2>/dev/null | grep -F "$T/run/" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u; }
# eventually COMMAND...: until it succeeds, within a minute
eventually() {
	local end=$((SECONDS + 60))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not within the time: $*" >&2; return 1; }
		sleep 0.05
	done
}
