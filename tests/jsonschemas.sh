#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/json/: they are schemas, of each command that takes --json and no other, and docs/json.md is made of them.
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
build=${top_builddir:-$top/build}
python3 -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null || { echo "skipped, missing: python3-jsonschema"; exit 77; }
exec python3 "$top/tests/jsonlog.py" lint "$build/tools/vmctl" "$build/tools/vmmig" "$build/tools/vmclus"
