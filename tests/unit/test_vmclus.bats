#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vmclus against a stand-in for clusterd (fake_clusterd.c): which order each command makes of its words, and what it makes of the answers.
load ../retry
load ../jsonlog
load ../usage

: "${top_builddir:=$BATS_TEST_DIRNAME/../../build}"

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T
	vmclus=$top_builddir/tools/vmclus
	"$top_builddir/tests/unit/fake_clusterd" "$T" 3>&- &
	SERVER=$!
	for ((i = 0; i < 100; i++)); do [ ! -S "$T/clusterd.sock" ] || break; sleep 0.02; done
	say ok '{"type":"ok"}'
}
teardown() {
	kill -9 "$SERVER" 2>/dev/null || true
	rm -rf "$T"
}

say() { # OP LINE...: what is answered
	local op=$1
	shift
	printf '%s\n' "$@" >"$T/$op"
}
order() { tail -n 1 "$T/orders"; }
ordered() { # the last order is this one, whatever the order of its keys
	[ "$(order | jq -S -c .)" = "$(jq -S -c . <<<"$1")" ] || { echo "order: $(order), wanted $1" >&2; return 1; }
}
status_report() {
	cat <<-'X' | jq -c .
		{"type":"status","host":"host-b","quorate":true,"generation":412,"coordinator":"host-a","hosts":[
		{"name":"host-a","state":"online","cpu_used":1.25,"cpu_total":2,"mem_used_bytes":536870912,"mem_total_bytes":2147483648,"maintenance":false,"safe_by":"none"},
		{"name":"host-b","state":"online","cpu_used":0.1,"cpu_total":2,"mem_used_bytes":0,"mem_total_bytes":2147483648,"maintenance":true,"safe_by":"none"},
		{"name":"host-c","state":"lost","cpu_used":0,"cpu_total":2,"mem_used_bytes":0,"mem_total_bytes":2147483648,"maintenance":false,"safe_by":"none"}],
		"domains":[
		{"name":"guest01","uuid":"6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e01","state":"running","desired":"running","host":"host-a","generation":3,"operation":null,"target":null,"text":"","cpu_used":0.5,"mem_bytes":268435456,"priority":0},
		{"name":"guest02","uuid":"6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e02","state":"migrating","desired":"running","host":"host-a","generation":7,"operation":"migrate","target":"host-b","text":"","cpu_used":0.25,"mem_bytes":268435456,"priority":0},
		{"name":"guest03","uuid":"6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e03","state":"unknown","desired":"running","host":"host-c","generation":1,"operation":null,"target":null,"text":"its host is lost","cpu_used":0,"mem_bytes":268435456,"priority":0}],
		"rules":[],"policy":{}}
	X
}

@test "usage: unknown things end with status 2 and say what is right" {
	usage_is_said "$vmclus" start 'start a b' 'move guest01' 'status --nonsense' 'define --json x' 'rules' 'rules frob' 'rules add apart a' \
		'rules add beside a b' 'rules add apart a b --healthy' 'rules add after a b --delay -1' 'rules remove x' 'rules list x' 'fence deny host-a' 'policy lease_s' 'policy =1' 'balance --auto perhaps' \
		'balance --auto on --yes' 'balance --max-moves none' 'start g --timeout soon' 'events --since then' 'start g --no-wait=1' \
		'init' 'init a b' 'init .x' 'join host-a' 'join host-a t u' 'invite host-b' 'invite --name .x' 'remove' 'replace .x' 'leave host-a' \
		'set' 'set g --restarts 3' 'set g --restarts x/10m' 'set g --cool-down soon' 'set g --priority high' 'set g --balance --no-balance' \
		'spare' 'spare a b' 'drain a --undo --until-back' \
		'simulate' 'simulate a b' 'simulate --generate 3' 'simulate --gain much x'
	[ ! -e "$T/orders" ]
}

@test "without clusterd: says so, and as JSON where that was asked for" {
	kill -9 "$SERVER"
	wait "$SERVER" || true # its socket goes with its process
	run "$vmclus" status
	[ "$status" -eq 1 ]
	[[ $output == *"clusterd does not run on this host"* ]]
	run bash -c "'$vmclus' status --json 2>/dev/null"
	[ "$status" -eq 1 ]
	jq -e '.status == "failed" and .code == "ECONNREFUSED"' <<<"$output"
}

@test "status: a table; --json: the report as it came" {
	say status "$(status_report)"
	run "$vmclus" status
	[ "$status" -eq 0 ]
	ordered '{"op":"status","watch":false}'
	[[ ${lines[0]} == "quorate, 2 of 3 hosts online, generation 412, coordinator host-a" ]]
	[[ $output == *"host-a       online   1.2 / 2     512 MiB / 2 GiB        2"* ]]
	[[ $output == *"host-b "*" maintenance"* ]]
	[[ $output == *"guest02 "*"migrating"*"host-a > host-b"* ]]
	[[ $output == *"its host is lost"* ]]
	run "$vmclus" status --json
	[ "$(jq -S -c . <<<"$output")" = "$(status_report | jq -S -c 'del(.type)')" ]
}

@test "status of a node without quorum says what that means" {
	say status "$(status_report | jq -c '.quorate = false')"
	run "$vmclus" status
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "NOT QUORATE: host-b decides nothing"* ]]
}

@test "status --watch goes on until clusterd goes, and then fails" {
	say status "$(status_report)" '#sleep 100' "$(status_report | jq -c '.generation = 413')" '#close'
	run bash -c "'$vmclus' status --watch --json"
	[ "$status" -eq 1 ]
	ordered '{"op":"status","watch":true}'
	[ "$(jq -c 'select(.generation) | .generation' <<<"$(grep '^{' <<<"$output")" | tr '\n' ' ')" = '412 413 ' ]
	[[ $output == *"clusterd went away"* ]]
}

@test "define sends the file, prints warnings; a file that is none is refused before" {
	say define '{"type":"ok","name":"guest01","uuid":"x","warnings":["no room for the loss of host-a"]}'
	printf '<domain type="uml">"\\ä</domain>\n' >"$T/g.xml"
	run "$vmclus" define "$T/g.xml"
	[ "$status" -eq 0 ]
	[[ $output == *"warning: no room for the loss of host-a"*"Domain 'guest01' defined from $T/g.xml"* ]]
	[ "$(order | jq -j .xml)" = "$(cat "$T/g.xml")" ]
	[ "$(order | jq -r .origin)" = "$T/g.xml" ]
	"$vmclus" define - <"$T/g.xml"
	[ "$(order | jq -j .xml)" = "$(cat "$T/g.xml")" ]
	rm "$T/orders"
	run "$vmclus" define "$T/none.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"none.xml: No such file"* ]]
	printf 'a\0b' >"$T/bin.xml"
	run "$vmclus" define "$T/bin.xml"
	[ "$status" -eq 1 ]
	printf '\377\376' >"$T/latin.xml"
	run "$vmclus" define "$T/latin.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"not UTF-8"* ]]
	head -c 1048577 /dev/zero | tr '\0' ' ' >"$T/big.xml"
	for file in "$T/big.xml" -; do
		run "$vmclus" define "$file" <"$T/big.xml"
		[ "$status" -eq 1 ]
		[[ $output == *"$file is larger than a definition may be (1048576 octets, 1 MiB)"* ]]
	done
	[ ! -e "$T/orders" ]
}

@test "start, stop, undefine: orders, waiting, and the cause when refused" {
	say start '{"type":"ok"}'
	say stop '{"type":"error","error":"the cluster has no quorum","code":"EAGAIN"}'
	say undefine '{"type":"ok"}'
	"$vmclus" start guest01
	ordered '{"op":"start","name":"guest01","wait":true}'
	"$vmclus" start --no-wait guest01 --timeout 2.5
	ordered '{"op":"start","name":"guest01","wait":false,"timeout_s":2.5}'
	run "$vmclus" stop guest01
	[ "$status" -eq 1 ]
	[ "$output" = "vmclus: the cluster has no quorum" ]
	run "$vmclus" undefine guest01
	[ "$status" -eq 0 ]
	ordered '{"op":"undefine","name":"guest01"}'
}

@test "move: the report at the end; --json: progress and report as lines" {
	say move '{"type":"progress","phase":"live","round":1,"sent_bytes":1048576,"remaining_bytes":1048576,"memory_processed":1048576,"bandwidth_bps":1}' \
		'{"type":"ok","report":{"status":"completed","domain":"guest01","from":"host-a","to":"host-b","total_ms":381.2,"downtime_ms":42.5,"sent_bytes":61236838}}'
	run "$vmclus" move guest01 host-b
	[ "$status" -eq 0 ]
	[ "$output" = "guest01 moved from host-a to host-b in 381 ms (downtime 42.5 ms), 58.4 MiB sent" ]
	ordered '{"op":"move","name":"guest01","host":"host-b","wait":true}'
	run "$vmclus" move guest01 host-b --json
	[ "$(wc -l <<<"$output")" -eq 2 ]
	tail -n 1 <<<"$output" | jq -e '.status == "completed" and .downtime_ms == 42.5'
	say move '{"type":"error","error":"host-b has no bridge br7","code":"ENODEV"}'
	run bash -c "'$vmclus' move guest01 host-b --json 2>/dev/null"
	[ "$status" -eq 1 ]
	jq -e '.status == "failed" and .error == "host-b has no bridge br7" and .code == "ENODEV"' <<<"$output"
}

plan='{"type":"plan","moves":[{"domain":"guest01","from":"host-a","to":"host-b","gain":0.25,"cost_s":0.5,"cost_bytes":61236838,"reason":"host-a is the fullest"}],"before":0.6,"after":0.2,"text":""}'

@test "balance: dry run, no terminal to ask on, --yes, a move that fails" {
	say balance "$plan" '{"type":"ok"}'
	run "$vmclus" balance --dry-run
	[ "$status" -eq 0 ]
	ordered '{"op":"balance","run":false}'
	[[ $output == *"guest01 "*"host-a"*"host-b"*"0.250"*"58.4 MiB"*"host-a is the fullest"* ]]
	[[ $output == *"spread of load 60 % now, 20 % afterwards"* ]]
	run "$vmclus" balance </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"add --yes"* ]]
	not_run
	say balance "$plan" '{"type":"move","domain":"guest01","from":"host-a","to":"host-b","status":"completed"}' '{"type":"ok"}'
	run "$vmclus" balance --yes --max-moves 3
	[ "$status" -eq 0 ]
	ordered '{"op":"balance","run":true,"max_moves":3}'
	[[ $output == *"1 moved, 0 failed"* ]]
	say balance "$plan" '{"type":"move","domain":"guest01","from":"host-a","to":"host-b","status":"failed","error":"host-b is lost"}' '{"type":"ok"}'
	run bash -c "'$vmclus' balance --yes --json"
	[ "$status" -eq 1 ]
	jq -s -e '.[0].type == "plan" and .[1].error == "host-b is lost" and .[2].failed == 1' <<<"$output"
}
not_run() { [ "$(grep -c '"run":true' "$T/orders")" -eq 0 ]; }

# on a terminal: TYPED CMD...
on_terminal() {
	local typed=$1
	shift
	run bash -c "printf '%b' '$typed' | timeout 10 script -qec '$*' /dev/null"
}

@test "balance asks on a terminal, and does what was said" {
	command -v script >/dev/null || skip "missing: script"
	say balance "$plan" '{"type":"move","domain":"guest01","from":"host-a","to":"host-b","status":"completed"}' '{"type":"ok"}'
	on_terminal 'no\n' "$vmclus" balance
	[ "$status" -eq 3 ]
	[[ $output == *"nothing was moved"* ]]
	not_run
	on_terminal 'yes\n' "$vmclus" balance
	[ "$status" -eq 0 ]
	ordered '{"op":"balance","run":true}'
	[[ $output == *"1 moved, 0 failed"* ]]
	[[ $output != *"the load has changed"* ]]
}

@test "balance with nothing to do says so and does not ask; --auto is a policy" {
	say balance '{"type":"plan","moves":[],"before":0.05,"after":0.05,"text":"below the threshold of 20 %"}'
	run "$vmclus" balance </dev/null
	[ "$status" -eq 0 ]
	[ "$output" = "no move is worth its cost: spread 5 %; below the threshold of 20 %" ]
	run bash -c "'$vmclus' balance --json"
	jq -e '.moves == []' <<<"$output"
	not_run
	say policy '{"type":"policy","policy":{"auto_balance":true,"admission":"off","lease_s":0}}'
	"$vmclus" balance --auto on
	ordered '{"op":"policy","set":{"auto_balance":true}}'
}

@test "policy: shows, and sets numbers, words and switches" {
	say policy '{"type":"policy","policy":{"auto_balance":true,"admission":"off","lease_s":6.5}}'
	run "$vmclus" policy
	[[ $output == *"auto_balance             on"*"admission                off"*"lease_s                  6.5"* ]]
	ordered '{"op":"policy"}'
	"$vmclus" policy --json | jq -e '.auto_balance'
	"$vmclus" policy admission=off auto_balance=off lease_s=6.5 moves_max=3
	ordered '{"op":"policy","set":{"admission":"off","auto_balance":false,"lease_s":6.5,"moves_max":3}}'
}

@test "drain: who is still there and why, each news once; --undo, --bring-back" {
	local p='{"type":"progress","left":2,"moving":1,"stage":"drain","domains":[{"name":"guest01","state":"migrating","reason":"moves to host-b","stuck":false},'
	say drain "$p"'{"name":"big","state":"running","reason":"no host for it; 2 of 2: too little memory","stuck":true}]}' \
		"$p"'{"name":"big","state":"running","reason":"no host for it; 2 of 2: too little memory","stuck":true}]}' '{"type":"ok"}'
	run "$vmclus" drain host-a
	[ "$status" -eq 0 ]
	[[ $output == *"host-a: 2 left, 1 on the move"*"guest01"*"moves to host-b"*"big"*"cannot leave now: no host for it; 2 of 2: too little memory"*"host-a is empty"* ]]
	[ "$(grep -c 'on the move' <<<"$output")" -eq 1 ]
	ordered '{"op":"drain","host":"host-a","undo":false,"wait":true}'
	"$vmclus" drain host-a --undo
	ordered '{"op":"drain","host":"host-a","undo":true,"wait":true}'
	"$vmclus" drain host-a --bring-back
	ordered '{"op":"drain","host":"host-a","undo":true,"bring_back":true,"wait":true}'
}

@test "drain --timeout: status 4 and the names of those that stay; --json has them, too" {
	say drain '{"type":"ok","complete":false,"left":1,"domains":[{"name":"big","state":"running","reason":"too little memory","stuck":true}]}'
	run "$vmclus" drain host-a --timeout 5
	[ "$status" -eq 4 ]
	[[ $output == *"1 stay so far"*"big"*"too little memory"* ]]
	ordered '{"op":"drain","host":"host-a","undo":false,"wait":true,"timeout_s":5.0}'
	run "$vmclus" drain host-a --timeout 5 --json
	[ "$status" -eq 4 ]
	jq -e '.complete == false and .domains[0].name == "big"' <<<"$output"
	run "$vmclus" drain host-a --timeout soon
	[ "$status" -eq 2 ]
}

@test "drain: interrupted, it says that the order stands" {
	say drain '{"type":"progress","left":1,"moving":1,"stage":"drain","domains":[]}' '#hold'
	# job control, or the shell has it ignore the signal
	run bash -mc '"$0" drain host-a >/dev/null 2>"$1" & sleep 0.5; kill -INT $!; wait $!' "$vmclus" "$T/said"
	[ "$status" -eq 130 ]
	[[ $(cat "$T/said") == *"host-a is being emptied on"*"drain --undo host-a"* ]]
}

@test "shutdown-host: modes, time, --undo; status 4 when nobody could be told" {
	say leave '{"type":"progress","left":1,"moving":0,"stage":"ending","domains":[{"name":"g","state":"running","reason":"asked to power off","stuck":false}]}' \
		'{"type":"ok","complete":true}'
	run "$vmclus" shutdown-host
	[ "$status" -eq 0 ]
	[[ $output == *"this host: 1 still running"*"asked to power off"*"the others know it"* ]]
	ordered '{"op":"leave","undo":false,"wait":true}'
	"$vmclus" shutdown-host --mode stop --timeout 20 --no-wait
	ordered '{"op":"leave","undo":false,"wait":false,"mode":"stop","timeout_s":20.0}'
	"$vmclus" shutdown-host --undo
	ordered '{"op":"leave","undo":true,"wait":true}'
	[ "$("$vmclus" shutdown-host --json | jq -s 'map(.type) | join(" ")')" = '"progress ok"' ]
	say leave '{"type":"ok","complete":false}'
	run "$vmclus" shutdown-host
	[ "$status" -eq 4 ]
	[[ $output == *"without a quorum"* ]]
	for words in '--mode off' '--undo --timeout 3' 'host-a'; do
		# shellcheck disable=SC2086
		run "$vmclus" shutdown-host $words
		[ "$status" -eq 2 ]
	done
}

@test "rules: add, list, remove" {
	say rule-add '{"type":"ok","id":4}'
	say rule-list '{"type":"rules","rules":[{"id":4,"kind":"hosts","members":["guest01","label=ssd"],"soft":true,"never":true}]}'
	say rule-remove '{"type":"ok"}'
	run "$vmclus" rules add hosts guest01 label=ssd --never --soft
	[ "$output" = "rule 4 added" ]
	ordered '{"op":"rule-add","kind":"hosts","members":["guest01","label=ssd"],"soft":true,"never":true}'
	run "$vmclus" rules list
	[ "$output" = "   4  hosts     guest01 label=ssd (never) (soft)" ]
	"$vmclus" rules list --json | jq -e '.[0].id == 4'
	run "$vmclus" rules remove 4
	[ "$output" = "rule 4 removed" ]
	ordered '{"op":"rule-remove","id":4}'
	[ "$("$vmclus" rules remove 4 --json)" = '{"id":4}' ]
	"$vmclus" rules add prefer guest01 host-a
	ordered '{"op":"rule-add","kind":"hosts","members":["guest01","host-a"],"soft":true,"never":false}'
	"$vmclus" rules add after web db cache --healthy --delay 7.5
	ordered '{"op":"rule-add","kind":"after","members":["web","db","cache"],"soft":false,"never":false,"healthy":true,"delay_s":7.5}'
	say rule-list '{"type":"rules","rules":[{"id":5,"kind":"after","members":["web","db"],"soft":false,"never":false,"healthy":true,"delay_s":7.5}]}'
	run "$vmclus" rules list
	[ "$output" = "   5  after     web db (healthy) (7.5 s later)" ]
	run bash -c "'$vmclus' rules add apart a b --json"
	[ "$output" = '{"id":4}' ]
}

@test "rehearse: who would start where; status 1 when one would start nowhere" {
	say rehearse '{"type":"rehearsal","host":"host-a","ok":true,"detect_s":9.5,"nowhere":0,"domains":[
		{"name":"g1","fate":"starts","host":"host-b","text":"","outage_s":12.5,"start_s":3,"measured":true},{"name":"g2","fate":"stays","host":null,"text":"ha=\"no\""}]}'
	jq -c . "$T/rehearse" >"$T/line" && mv "$T/line" "$T/rehearse"
	run "$vmclus" rehearse host-a
	[ "$status" -eq 0 ]
	ordered '{"op":"rehearse","host":"host-a"}'
	[[ $output == *"g1 "*" starts on host-b "*" after about 12 s (start 3.0 s as measured)"*"g2 "*" stays down"* ]]
	say rehearse '{"type":"rehearsal","host":"host-a","ok":false,"detect_s":9.5,"nowhere":1,"domains":[{"name":"g1","fate":"nowhere","host":null,"text":"no room","hosts":[{"name":"host-b","why":"memory","text":"full"}]}]}'
	run bash -c "'$vmclus' rehearse host-a --json 2>/dev/null"
	[ "$status" -eq 1 ]
	[ "$(jq -s -c 'map(.status // .nowhere)' <<<"$output")" = '[1,"failed"]' ]
}

@test "rehearse: who starts after others, and who waits for one that will not run" {
	say rehearse '{"type":"rehearsal","host":"host-a","ok":false,"detect_s":9.5,"nowhere":1,"domains":[{"name":"web","fate":"starts","host":"host-b","text":"","outage_s":20.5,"waits_s":8,"start_s":3,"measured":false},{"name":"job","fate":"waits","host":null,"text":"waits for db2, which is not to run"}]}'
	run "$vmclus" rehearse host-a
	[ "$status" -eq 1 ]
	[[ $output == *"web "*"(start 3.0 s, a guess; 8.0 s for others to start first)"*"job "*" DOES NOT START: waits for db2"* ]]
}

@test "set: what is asked for, and what counts then; spare; a drain until the host is back" {
	local told='"priority":5,"restarts":3,"restart_window_s":600,"balance":false,"cool_down_s":60,"cool_left_s":12.5,"set":["priority","restarts","cool-down","no-balance"]'
	say set "{\"type\":\"settings\",\"name\":\"db\",$told}"
	run "$vmclus" set db --priority 5 --restarts 3/10m --cool-down 1m --no-balance --reset
	[ "$status" -eq 0 ]
	ordered '{"op":"set","name":"db","priority":5,"restarts":3,"restart_window_s":600.0,"cool_down_s":60.0,"balance":false,"reset":true}'
	[[ $output == *"restarts   3 within 600 s"*"balance    no"*"60 s after a move, 12 s left"* ]]
	"$vmclus" set db --priority default --restarts default --cool-down default --balance
	ordered '{"op":"set","name":"db","priority":null,"restarts":null,"cool_down_s":null,"balance":true}'
	run "$vmclus" set db --json
	ordered '{"op":"set","name":"db"}'
	[ "$(jq -c .set <<<"$output")" = '["priority","restarts","cool-down","no-balance"]' ]
	say spare '{"type":"ok"}'
	say drain '{"type":"ok"}'
	"$vmclus" spare host-a
	ordered '{"op":"spare","host":"host-a","undo":false}'
	"$vmclus" spare host-a --undo
	ordered '{"op":"spare","host":"host-a","undo":true}'
	"$vmclus" drain host-a --until-back --no-wait
	ordered '{"op":"drain","host":"host-a","undo":false,"wait":false,"until_back":true}'
}

@test "simulate: a plan, as JSON too" {
	"$vmclus" simulate --generate 3:20 --seed 4 >"$T/described"
	run "$vmclus" simulate "$T/described"
	[ "$status" -eq 0 ]
	[ "$("$vmclus" simulate --json "$T/described" | jq -r '.type')" = plan ]
}

@test "disarm and arm: a reason, a time, and who does not know" {
	usage_is_said "$vmclus" 'disarm' 'disarm --reason x --for soon' 'disarm --reason x --for 25h' 'arm x'
	say disarm '{"type":"ok","disarm":{"reason":"new switch","until":"2026-12-01T06:00:00Z","left_s":1800},"without":[]}'
	run "$vmclus" disarm --reason 'new switch' --for 30m
	[ "$status" -eq 0 ] && [[ $output = "disarmed until 2026-12-01T06:00:00Z: "* ]]
	ordered '{"op":"disarm","reason":"new switch","for_s":1800.0}'
	say disarm '{"type":"ok","disarm":{"reason":"x","until":"2026-12-01T06:00:00Z","left_s":60},"without":["host-c"],"warnings":["host-c does not know"]}'
	run "$vmclus" disarm --reason x --json
	[ "$status" -eq 4 ]
	say arm '{"type":"ok"}'
	"$vmclus" arm
	ordered '{"op":"arm"}'
	say status "$(status_report | jq -c '.disarm = {"reason":"new switch","until":"2026-12-01T06:00:00Z","left_s":60}')"
	"$vmclus" status | grep '^DISARMED until 2026-12-01T06:00:00Z: .*new switch'
	"$vmclus" status | grep -c 'NOT DISARMED' | grep -x 2 # the lost one is lost
}

@test "explain: a line per host" {
	say explain '{"type":"explain","explain":{"name":"guest01","host":null,"text":"no host has room","hosts":[{"name":"host-a","ok":false,"why":"memory","text":"needs 256 MiB, 100 MiB are free"},{"name":"host-b","ok":true,"why":"ok","score":12,"text":"emptiest"}]}}'
	run "$vmclus" explain guest01
	[ "$status" -eq 0 ]
	[[ $output == *"guest01 on no host"*"no host has room"*"host-a       no   memory: needs 256 MiB"*"host-b       yes  score 12: emptiest"* ]]
	"$vmclus" explain guest01 --json | jq -e '.hosts[0].why == "memory" and (has("type") | not)'
}

@test "cpu-baseline: the features, who lacks which, who does not count" {
	say cpu-baseline '{"type":"baseline","features":["avx","sse4.2"],"hosts":[{"name":"host-a","counts":true,"lacks":[]},{"name":"host-b","counts":true,"lacks":["avx2","pcid"]},{"name":"host-c","counts":false,"lacks":["avx"]}]}'
	run "$vmclus" cpu-baseline
	[ "$status" -eq 0 ]
	ordered '{"op":"cpu-baseline"}'
	[ "$output" = "$(printf '%s\n' 'avx sse4.2' 'host-b lacks what others have:' '  avx2 pcid' 'host-c does not count: it has no KVM, or was never there')" ]
	run "$vmclus" cpu-baseline --json
	jq -e '.features == ["avx", "sse4.2"] and (.hosts | length) == 3 and (has("type") | not)' <<<"$output"
}

@test "events: lines, --follow, --since" {
	say events '{"type":"event","index":7,"time":"2026-01-01T00:00:00Z","kind":"host-lost","text":"host-c left","domain":null,"host":"host-c"}' '{"type":"ok"}'
	run "$vmclus" events --since 5
	[ "$status" -eq 0 ]
	ordered '{"op":"events","follow":false,"since":5}'
	[ "$output" = "     7  2026-01-01T00:00:00Z  host-lost    host-c left" ]
	run bash -c "'$vmclus' events --json"
	jq -e '.kind == "host-lost"' <<<"$output"
}

@test "fence confirm: needs the host's name typed; --yes does not; says which domains are at stake" {
	say status "$(status_report)"
	say fence-confirm '{"type":"ok"}'
	run "$vmclus" fence confirm host-c </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"TWICE"*"guest03"*"add --yes"* ]]
	run "$vmclus" fence confirm host-a </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"host-a is online"* ]]
	run "$vmclus" fence confirm host-z </dev/null
	[[ $output == *"no host 'host-z'"* ]]
	[ "$(grep -c fence-confirm "$T/orders")" -eq 0 ]
	run "$vmclus" fence confirm host-c --yes
	[ "$status" -eq 0 ]
	ordered '{"op":"fence-confirm","host":"host-c"}'
	command -v script >/dev/null || skip "missing: script"
	rm "$T/orders"
	on_terminal 'yes\n' "$vmclus" fence confirm host-c
	[ "$status" -eq 3 ]
	[ "$(grep -c fence-confirm "$T/orders")" -eq 0 ]
	on_terminal 'host-c\n' "$vmclus" fence confirm host-c
	[ "$status" -eq 0 ]
	ordered '{"op":"fence-confirm","host":"host-c"}'
}

@test "answers that are no answers: not JSON, no object, the end in the middle" {
	for line in 'hello' '[1]' '"text"'; do
		say start "$line"
		run "$vmclus" start guest01
		[ "$status" -eq 1 ]
		[[ $output == *"not a JSON object"* ]]
	done
	say start '{"type":"ok"' '#close'
	run "$vmclus" start guest01
	[ "$status" -eq 1 ]
	printf '{"type":"o' >"$T/start"
	echo >>"$T/start"
	run "$vmclus" start guest01
	[ "$status" -eq 1 ]
	say start '#close'
	run "$vmclus" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"clusterd went away"* ]]
	say status '{"type":"status"}'
	run "$vmclus" status
	[ "$status" -eq 0 ]
}

@test "top draws hosts, migrations and domains, sorts, and puts the terminal back" {
	command -v script >/dev/null || skip "missing: script"
	run "$vmclus" top </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"needs a terminal"* ]]
	say status "$(status_report)" '#hold'
	run bash -c "(sleep 0.5; printf 'cr\033[B'; sleep 0.3; printf q) | timeout 10 script -qec 'stty rows 20 cols 100; $vmclus top; stty -a' /dev/null"
	[ "$status" -eq 0 ]
	[[ $output == *$'\e[?1049h'*"MIGRATIONS"*"guest02"*"host-a > host-b"*$'\e[?1049l'* ]]
	[[ $output == *"host-a"*"[############.......]  1.2/2"* ]]
	[[ $output == *"by CPU, reversed"* ]]
	# echo and line editing are on again
	[[ $output == *" icanon"* ]]
	[[ $output == *" echo "* ]]
}

@test "a clusterd that stands still: words after some seconds, then a clear failure; SIGCONT in time, and all goes on" {
	export HOSPES_ANSWER_S=2
	say drain '#hold'
	kill -STOP "$SERVER"
	run timeout 20 "$vmclus" drain host-a --json
	[ "$status" -eq 1 ]
	[[ $output == *"clusterd does not answer; waiting for it, at most 1 s"*"clusterd has not answered for 5 s"*"may carry the order out yet"* ]]
	jq -e '.status == "failed" and .code == "ETIMEDOUT"' <<<"$(grep '^{' <<<"$output")"
	export HOSPES_ANSWER_S=10
	say start '{"type":"ok"}'
	(sleep 5; kill -CONT "$SERVER") &
	run timeout 20 "$vmclus" start guest01
	[ "$status" -eq 0 ]
	[[ $output == *"does not answer"*"Domain 'guest01' started"* ]]
}

@test "an order that takes long is waited for as long as clusterd answers to pings" {
	export HOSPES_ANSWER_S=1
	say drain '#sleep 7000' '{"type":"ok"}'
	run timeout 20 "$vmclus" drain host-a
	[ "$status" -eq 0 ]
	[ "$output" = "host-a is empty, and gets no domains until vmclus drain --undo" ]
	[ "$(wc -l <"$T/pings")" -eq 2 ]
	[ "$(wc -l <"$T/orders")" -eq 1 ]
}

@test "so many wait for a clusterd that stands still that it takes no more connections: they fail, too" {
	kill -STOP "$SERVER"
	for i in {1..12}; do (timeout 30 "$vmclus" status >"$T/said$i" 2>&1 || echo $? >"$T/ended$i") & waiters[i]=$!; done
	wait "${waiters[@]}" || true
	[ "$(cat "$T"/ended* | sort | uniq -c | tr -s ' ')" = ' 12 1' ]
	[ "$(cat "$T"/said* | grep -c 'stands still')" -eq 12 ]
	grep -q 'clusterd does not answer: it stands still' "$T"/said*
}

@test "top says when the reports stay away" {
	command -v script >/dev/null || skip "missing: script"
	say status "$(status_report)" '#hold'
	run bash -c "(sleep 7; printf q) | timeout 15 script -qec 'stty rows 20 cols 100; $vmclus top' /dev/null"
	[ "$status" -eq 0 ]
	[[ $output == *"clusterd has not answered for 5 s"* ]]
}

@test "a token that is none is refused before anything is looked at" {
	run "$vmclus" join host-a xyz
	[ "$status" -eq 1 ] && [[ $output == *"that is no token"* ]]
	run "$vmclus" join --json host-a hospes1.AAAA
	[ "$status" -eq 1 ] && [[ $output == *'"status":"failed"'*mistyped* ]]
	run "$vmclus" join host-a hospes9.AAAA
	[ "$status" -eq 1 ] && [[ $output == *"another version"* ]]
}

@test "what --json printed is as docs/json/ says" {
	# the stand-in's answers have not all keys of clusterd's; those are looked at in tests/system
	jsonlog_check --partial --need vmclus:status,vmclus:move,vmclus:balance,vmclus:drain,vmclus:rules,vmclus:explain,vmclus:cpu-baseline,vmclus:events,vmclus:policy,vmclus:simulate,vmclus:rehearse,vmclus:shutdown-host
}
