# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of all programs of Hospes, for bash-completion(1), which finds this file by their names. Commands and options come from the
# programs: vmctl, vmmig and vmclus print their tables (--commands), the others their help.

# Names that stand for an argument of the kind $1 (DOMAIN, HOST...), asked from $2
_hospes_names() {
	case $2,$1 in
	vmclus,NAME | vmclus,DOMAIN) vmclus status --json 2>/dev/null | jq -r '.domains[].name' ;;
	vmclus,HOST) vmclus status --json 2>/dev/null | jq -r '.hosts[].name' ;;
	vmmig,HOST) vmmig peers list --json 2>/dev/null | jq -r '.[].name' ;;
	vmctl,DOMAIN | vmmig,DOMAIN) vmctl list --all --name 2>/dev/null ;;
	vmctl,IMAGE) vmctl image list --json 2>/dev/null | jq -r '.[].name' ;;
	vmctl,BRIDGE) find /sys/class/net/*/bridge -maxdepth 0 2>/dev/null | cut -d / -f 5 ;;
	*,LEVEL) printf 'error\nwarn\ninfo\ndebug\n' ;;
	vmlab,HOST) vmlab status --json 2>/dev/null | jq -r '.hosts[].name' ;;
	esac
}

# The help of a program without such a table, as one: "COMMAND<tab>ARGUMENTS<tab>OPTIONS"
_hospes_help() {
	"$1" --help 2>/dev/null | awk -v program="$1" '
		/^environment:/ { exit }
		sub("^(usage:|      ) " program " ", "  ") && /COMMAND/ { next }
		/^  [a-z]+/ {
			line = $0
			sub(/   +.*/, "", line)
			n = split(line, part, /, /) # "freeze HOST, thaw HOST"
			for (i = 1; i <= n; i++) {
				split(part[i], w, " ")
				words = part[i]; sub(/^ *[a-z]+ */, "", words)
				options = ""
				while (match(words, /--[a-z-]+/)) {
					options = options " " substr(words, RSTART, RLENGTH)
					words = substr(words, 1, RSTART - 1) substr(words, RSTART + RLENGTH)
				}
				gsub(/\[[^]]*\]/, "", words)
				print w[1] "\t" words "\t" options
			}
		}'
}

_hospes() {
	local program=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} table='' args options i n=0 words=() kind before
	COMPREPLY=()
	case $program in
	vmctl | vmmig | vmclus) table=$("$program" --commands 2>/dev/null) ;;
	vmlab | hospes-probe) table=$(_hospes_help "$program") ;;
	esac
	if [ -z "$table" ]; then # a daemon
		mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)" -- "$cur")
		return
	fi
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(cut -f 1 <<<"$table") --help --version" -- "$cur")
		return
	fi
	table=$(awk -F '\t' -v c="${COMP_WORDS[1]}" '$1 == c' <<<"$table")
	[ -n "$table" ] || return
	args=$(cut -f 2 <<<"$table")
	options=$(cut -f 3 <<<"$table")
	if [[ $cur == -* ]]; then
		# shellcheck disable=SC2086
		mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' $options | sed 's/=.*//')" -- "$cur")
		return
	fi
	# what stands before: an option that wants a value, or so many arguments
	before=${COMP_WORDS[COMP_CWORD - 1]}
	for i in $options; do
		[[ $i == "$before="* ]] || continue
		kind=${i#*=}
		case $kind in
		FILE | DIR) compopt -o default ;;
		*'|'*) mapfile -t COMPREPLY < <(compgen -W "${kind//|/ }" -- "$cur") ;;
		*) mapfile -t COMPREPLY < <(compgen -W "$(_hospes_names "$kind" "$program")" -- "$cur") ;;
		esac
		return
	done
	for ((i = 2; i < COMP_CWORD; i++)); do
		case " $options " in
		*" ${COMP_WORDS[i]}="*) i=$((i + 1)) ;;
		*) [[ ${COMP_WORDS[i]} == -* ]] || n=$((n + 1)) ;;
		esac
	done
	read -r -a words <<<"$args"
	[ ${#words[@]} -gt 0 ] || return
	[ "$n" -lt ${#words[@]} ] || n=$((${#words[@]} - 1)) # "...": more of the last one
	kind=${words[n]}
	kind=${kind#\[}
	kind=${kind%]}
	kind=${kind%...}
	case $kind in
	FILE | DIR | CMD) compopt -o default ;;
	*'|'*) mapfile -t COMPREPLY < <(compgen -W "${kind//|/ }" -- "$cur") ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$(_hospes_names "$kind" "$program")" -- "$cur") ;;
	esac
}

complete -F _hospes vmctl vmmig vmclus vmlab hospes-probe hvdom migrated clusterd hospes-guard hospes-virtd
