# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tools print with --json in a test file is kept, and compared with docs/json/ at its end (jsonlog.py).
# benchmarks, which use the tests' labs, keep nothing
[ -z "${BATS_FILE_TMPDIR:-}" ] || export HOSPES_JSON_LOG=$BATS_FILE_TMPDIR/json.log
JSONLOG=$(cd "${BASH_SOURCE[0]%/*}" && pwd)/jsonlog.py

jsonlog_missing() {
	command -v python3 >/dev/null || { echo "missing: python3"; return 0; }
	python3 -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null || { echo "missing: python3-jsonschema"; return 0; }
	return 1
}
# jsonlog_check [--partial] [--need PROGRAM:COMMAND,...]
jsonlog_check() {
	local why
	why=$(jsonlog_missing) && skip "$why"
	python3 "$JSONLOG" check "$@" "$HOSPES_JSON_LOG"
}
