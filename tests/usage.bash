# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line that vmctl, vmmig and vmclus share (tools/cli.h): what their tests ask of it.

# usage_is_said PROGRAM WORDS...: help and version end well, for each command, too; each of WORDS is wrong usage of a command, and told how it is right.
usage_is_said() {
	local program=$1 name=${1##*/} words c
	shift
	for words in '' frobnicate "$@"; do
		# shellcheck disable=SC2086 # words
		run "$program" $words
		[ "$status" -eq 2 ] || { echo "$words: $status $output" >&2; return 1; }
		case $words in
		'') [[ $output == "usage: $name COMMAND"* ]] ;;
		frobnicate) [[ $output == *"unknown command frobnicate"* ]] ;;
		*) [[ $output == *"usage: $name ${words%% *}"* ]] ;;
		esac || { echo "$words: $output" >&2; return 1; }
	done
	run "$program" --version
	[ "$status" -eq 0 ] || return 1
	for c in $("$program" --help | awk '/^  [a-z]/ { print $1 }'); do
		run "$program" "$c" --help
		[[ $status == 0 && $output == "usage: $name $c"* ]] || { echo "$c --help: $status $output" >&2; return 1; }
		words=listed
	done
	[ "$words" = listed ]
}
