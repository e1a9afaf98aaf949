#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# hospes-guests start|stop: what hospes-guests.service does when a host comes up and before it goes down.
# stop: the cluster's domains leave (vmclus shutdown-host: policies on_shutdown and shutdown_s), then those that were started by hand power
# off, and after HOSPES_STOP_GRACE_S seconds (30) they are ended. Bounded, and never a reason for the host not to go down: 0 always.
run=${HOSPES_RUNDIR:-/run/hospes}
grace=${HOSPES_STOP_GRACE_S:-30}
PATH=@bindir@:$PATH

case ${1:-} in
start)
	# only where a stop without a reboot came before; clusterd is started just now and may not listen yet
	tries=60
	while [ -e "$run/cluster/leaving" ] && [ "$tries" -gt 0 ] && ! vmclus shutdown-host --undo; do
		sleep 1
		tries=$((tries - 1))
	done
	;;
stop)
	[ ! -S "$run/clusterd.sock" ] || vmclus shutdown-host
	left=$(vmctl list --name 2>/dev/null)
	[ -n "$left" ] || exit 0
	while [ "$grace" -gt 0 ] && [ -n "$left" ]; do
		# one that is still booting hears it the next time
		if [ $((grace % 5)) -eq 0 ]; then
			for d in $left; do vmctl shutdown "$d" & done
			wait
		fi
		sleep 1
		grace=$((grace - 1))
		left=$(vmctl list --name 2>/dev/null)
	done
	for d in $(vmctl list --name 2>/dev/null); do
		echo "domain '$d' did not power off: it is ended"
		vmctl destroy "$d" &
	done
	wait
	;;
*)
	echo "usage: hospes-guests start|stop" >&2
	exit 2
	;;
esac
exit 0
