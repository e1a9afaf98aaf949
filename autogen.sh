#!/bin/sh
# Make ./configure from a git checkout. Needs autoconf, automake, pkg-config (tools/packages.txt).
set -e
cd "$(dirname "$0")"
for tool in autoreconf automake pkg-config; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; install the packages of tools/packages.txt" >&2
		exit 1
	}
done
# two builds that share one source tree must not regenerate at the same time
if command -v flock >/dev/null; then
	exec 9<configure.ac
	flock 9
fi
autoreconf -fi
