#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What --json prints, against docs/json/*.schema.json.

jsonlog.py check [--partial] [--need PROGRAM:COMMAND[,...]] LOG
    LOG is what vmctl, vmmig and vmclus write with HOSPES_JSON_LOG. Keys that a schema does not have are errors here (for users they are
    additions). --partial: keys may be missing, because the answers are a stand-in's. --need: values of these commands have to be among them.
jsonlog.py lint PROGRAM...
    The schemas are schemas; they have each command of the PROGRAMs (paths) that takes --json, and no other.
jsonlog.py page
    Print docs/json.md.
"""
import json
import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DIR = os.path.join(TOP, "docs", "json")


def die(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def load():
    docs = {}
    for name in sorted(os.listdir(DIR)):
        if name.endswith(".schema.json"):
            with open(os.path.join(DIR, name), encoding="utf-8") as f:
                docs[name[: -len(".schema.json")]] = json.load(f)
    return docs


def commands(doc):
    """Of the definitions, those that are commands: the others begin with a capital."""
    return [name for name in doc["$defs"] if name[0].islower()]


def walk(node, fn):
    if isinstance(node, dict):
        fn(node)
        for v in node.values():
            walk(v, fn)
    elif isinstance(node, list):
        for v in node:
            walk(v, fn)


def strict(doc, partial):
    doc = json.loads(json.dumps(doc))

    def close(node):
        if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
            node["additionalProperties"] = False
        if partial and isinstance(node.get("required"), list):
            del node["required"]

    walk(doc, close)
    return doc


def split(text):
    """The arguments of a call of C, whose text begins behind the parenthesis."""
    args, depth, at, i = [], 0, 0, 0
    while i < len(text):
        c = text[i]
        if c in "\"'":
            i += 1
            while text[i] != c:
                i += 2 if text[i] == "\\" else 1
        elif c in "([{":
            depth += 1
        elif c in ")]}" and depth:
            depth -= 1
        elif c in ",)" and not depth:
            args.append(text[at:i].strip())
            at = i + 1
            if c == ")":
                break
        i += 1
    return args


def packed(path, function):
    """The keys that a function of C gives json_pack("{s:..., s:...}", ...)."""
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        text = f.read()
    body = re.search(r"^[^\n]*\b%s\([^;{]*\)\n\{\n.*?^\}" % function, text, re.M | re.S)
    if not body:
        die("%s: has no %s()" % (path, function))
    keys = set()
    for call in re.finditer(r"json_pack\(", body.group(0)):
        args = split(body.group(0)[call.end() :])
        form = re.findall(r"s:\s*([a-zA-Z])[?*]?(%?)", args[0])
        i = 1
        for kind, length in form:
            keys.add(args[i].strip('"'))
            i += 1 + (kind != "n") + bool(length)
        if i != len(args):
            die("%s: %s(): json_pack() is not understood" % (path, function))
    return keys - {"type"}


# Who makes which object: what a daemon says is seen whole by the system tests only
MAKERS = [
    ("clusterd/io/cluctl_show.c", ["status_json"], "vmclus", "status"),
    ("clusterd/io/cluctl_show.c", ["host_json"], "vmclus", "Host"),
    ("clusterd/io/cluctl_show.c", ["dom_json"], "vmclus", "Domain"),
    ("clusterd/io/cluctl_show.c", ["rules_json"], "vmclus", "Rule"),
    ("clusterd/io/cluctl_show.c", ["event_reply"], "vmclus", "events"),
    ("migrated/io/outgoing_report.c", ["outgoing_progress"], "vmmig", "Progress"),
    ("migrated/io/outgoing_report.c", ["outgoing_result"], "vmmig", "Result"),
    ("migrated/io/outgoing_report.c", ["outgoing_plan"], "vmmig", "plan"),
    ("migrated/io/outgoing_cost.c", ["outgoing_steps"], "vmmig", "Steps"),
    ("tools/vmctl_info.c", ["dom_json"], "vmctl", "Domain"),
    ("tools/vmctl_info.c", ["stats_json"], "vmctl", "domstats"),
]


def properties(node):
    keys = set(node.get("properties", {}))
    for alternative in node.get("anyOf", []):
        keys |= properties(alternative)
    return keys


def lint_makers(docs):
    for path, functions, program, part in MAKERS:
        node = docs[program]["$defs"][part]
        have = properties(node) - {"type"}
        for child in node.get("properties", {}).values():  # an array of objects without a name, made beside it
            have |= properties(child.get("items", {}))
        made = set().union(*(packed(path, f) for f in functions))
        if made - have:
            die("%s: %s() makes %s, which docs/json/%s.schema.json (%s) does not have" % (path, functions[0], sorted(made - have), program, part))


def where(e):
    """The deepest of the errors that led to @e: of alternatives, that which came farthest."""
    while e.context:
        e = max(e.context, key=lambda c: len(c.absolute_path))
    return "%s: %s" % ("/".join(str(p) for p in e.absolute_path) or "the value", e.message[:300])


def check(log, partial, need):
    from jsonschema import Draft202012Validator

    docs, of, seen, told, bad = {p: strict(d, partial) for p, d in load().items()}, {}, set(), set(), 0
    if not os.path.exists(log):
        die("%s: nothing was written there" % log)
    with open(log, encoding="utf-8") as f:
        for line in f:
            o = json.loads(line)
            which = (o["program"], o["command"])
            if which not in of:
                doc = docs.get(which[0], {"$defs": {}})
                if which[1] not in commands(doc):
                    die("%s %s: there is no schema" % which)
                of[which] = Draft202012Validator(dict(doc, **{"$ref": "#/$defs/" + which[1]}))
            seen.add("%s:%s" % which)
            for e in of[which].iter_errors(o["value"]):
                bad += 1
                if where(e) not in told:
                    told.add(where(e))
                    print("%s %s: %s\n    %s" % (*which, where(e), json.dumps(o["value"])[:600]), file=sys.stderr)
    if bad:
        die("%d errors" % bad)
    missing = [n for n in need if n not in seen]
    if missing:
        die("printed nothing: %s" % " ".join(missing))


def lint(programs):
    from jsonschema import Draft202012Validator

    docs = load()
    for name, doc in docs.items():
        Draft202012Validator.check_schema(doc)
        used = set()
        walk(doc, lambda node: used.add(node["$ref"]) if isinstance(node.get("$ref"), str) else None)
        have = {"#/$defs/" + n for n in doc["$defs"]}
        if used - have:
            die("%s: refers to %s" % (name, " ".join(sorted(used - have))))
        unused = [n for n in doc["$defs"] if n[0].isupper() and "#/$defs/" + n not in used]
        if unused:
            die("%s: nothing refers to %s" % (name, " ".join(unused)))
    for path in programs:
        name = os.path.basename(path)
        table = subprocess.run([path, "--commands"], stdout=subprocess.PIPE, check=True, text=True).stdout
        want = {l.split("\t")[0] for l in table.splitlines() if " --json" in l.split("\t")[2]}
        have = set(commands(docs[name]))
        if want != have or not want:
            die("%s: without a schema: %s; not --json: %s" % (name, sorted(want - have), sorted(have - want)))
    lint_makers(docs)
    with open(os.path.join(TOP, "clusterd", "core", "policy.h"), encoding="utf-8") as f:
        keys = re.findall(r'^\tF\(\d+, \d+, \w+, \w+, "(\w+)"', f.read(), re.M)
    if set(keys) != set(docs["vmclus"]["$defs"]["Policy"]["properties"]) or len(keys) < 10:
        die("vmclus: Policy has other keys than clusterd/core/policy.h")
    with open(os.path.join(TOP, "docs", "json.md"), encoding="utf-8") as f:
        if f.read() != page():
            die("docs/json.md: is not what tests/jsonlog.py page prints")


def kind(node):
    """The type of a value, in words."""
    if "$ref" in node:
        return node["$ref"].split("/")[-1]
    if "const" in node:
        return "`%s`" % json.dumps(node["const"]).strip('"')
    if "enum" in node:
        return ", ".join("null" if w is None else "`%s`" % w for w in node["enum"])
    if "anyOf" in node:
        return ", or ".join(kind(n) for n in node["anyOf"])
    t = node.get("type")
    if isinstance(t, list):
        return " or ".join(t)
    if t == "array":
        return "array of %s" % kind(node["items"])
    return t or "any"


def rows(node, prefix, out):
    """A line for each key of an object, and of those in it that have no name of their own."""
    if node.get("type") == "array":
        rows(node["items"], prefix + "[].", out)
    for alternative in node.get("anyOf", []):
        rows(alternative, prefix, out)
    required = node.get("required", [])
    for key, v in node.get("properties", {}).items():
        text = v.get("description", "")
        out.append("| `%s%s` | %s%s | %s |" % (prefix, key, kind(v), "" if key in required else "; may be missing", text))
        if "$ref" not in v:
            rows(v, prefix + key + ("." if v.get("type") == "object" else ""), out)


def page():
    out = [
        "# What `--json` prints",
        "",
        "The schemas (JSON Schema, draft 2020-12) are [json/*.schema.json](json); this page is made of them (`tests/jsonlog.py page`). The values of a",
        "command are under `$defs/COMMAND`, so `vmctl.schema.json#/$defs/list` is a schema of its own. Keys and words that are here stay; later versions may",
        "add keys, so whoever reads ignores those that are not known. Octets, seconds and pages are said by the key's end: `_bytes`, `_s`, `_pages`.",
        "A command that fails prints its reason on standard error and ends with status 1; vmclus also prints a Failure.",
    ]
    for name, doc in load().items():
        out += ["", "## %s" % name, "", doc["description"]]
        for part in commands(doc) + [n for n in doc["$defs"] if n[0].isupper()]:
            node = doc["$defs"][part]
            shape = {k: v for k, v in node.items() if k != "description"}
            lines = []
            rows(node, "", lines)
            text = node.get("description", "")
            if part[0].islower():
                out += ["", "### `%s`" % part, "", "%s: %s." % (text.rstrip("."), kind(shape))]
            else:
                out += ["", "### %s" % part, ""] + ([text, ""] if text else [])
                out.pop()
            if lines:
                out += ["", "| key | value | |", "|---|---|---|"] + lines
    return "\n".join(out) + "\n"


def main(args):
    if args[:1] == ["page"]:
        sys.stdout.write(page())
    elif args[:1] == ["lint"]:
        lint(args[1:])
    elif args[:1] == ["check"]:
        partial, need, rest = False, [], args[1:]
        while len(rest) > 1:
            partial |= rest[0] == "--partial"
            if rest[0] == "--need":
                need = rest.pop(1).split(",")
            rest.pop(0)
        check(rest[0], partial, need)
    else:
        die(__doc__)


main(sys.argv[1:])
