#!/usr/bin/env python3
"""Checks standard input against what the SARIF 2.1.0 schema requires of the objects that skep writes: required properties,
types, enumerations, formats, references between them, and no property that the schema does not know."""
import json
import re
import sys

LEVELS = ("none", "note", "warning", "error")
KINDS = ("function", "member", "module", "namespace", "parameter", "resource", "returnType", "type", "variable")
# object: {property: (required, type or name of an object, or [element])}
SCHEMA = dict(
    log=dict(version=(1, str), runs=(1, ["run"]), **{"$schema": (0, "uri")}),
    run=dict(tool=(1, "tool"), results=(0, ["result"]), columnKind=(0, ("utf16CodeUnits", "unicodeCodePoints"))),
    tool=dict(driver=(1, "driver")),
    driver=dict(name=(1, str), version=(0, str), rules=(0, ["rule"])),
    rule=dict(id=(1, str), name=(0, str), shortDescription=(0, "text"), help=(0, "text"), properties=(0, "bag"),
              defaultConfiguration=(0, "configuration")),
    configuration=dict(level=(0, LEVELS)),
    text=dict(text=(1, str)),
    bag=None,
    result=dict(message=(1, "text"), ruleId=(0, str), ruleIndex=(0, "index"), level=(0, LEVELS),
                locations=(0, ["location"]), relatedLocations=(0, ["location"]), properties=(0, "bag")),
    location=dict(id=(0, "index"), physicalLocation=(0, "physical"), logicalLocations=(0, ["logical"]), message=(0, "text")),
    logical=dict(name=(0, str), kind=(0, KINDS)),
    physical=dict(artifactLocation=(1, "artifact"), region=(0, "region")),
    artifact=dict(uri=(0, "uri-reference"), uriBaseId=(0, str)),
    region=dict(startLine=(0, "positive"), startColumn=(0, "positive"), snippet=(0, "text")),
)


def fail(path, what):
    print(f"{path}: {what}")
    sys.exit(1)


def check(path, value, kind):
    if isinstance(kind, list):
        if not isinstance(value, list):
            fail(path, "no array")
        for i, item in enumerate(value):
            check(f"{path}[{i}]", item, kind[0])
    elif isinstance(kind, tuple):
        if value not in kind:
            fail(path, f"{value!r} is none of {kind}")
    elif kind is str:
        if not isinstance(value, str) or not value:
            fail(path, f"{value!r} is no text")
    elif kind in ("index", "positive"):
        if type(value) is not int or value < (kind == "positive"):
            fail(path, f"{value!r} is no such number")
    elif kind in ("uri", "uri-reference"):
        if not isinstance(value, str) or not re.fullmatch(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", value) \
                or (kind == "uri" and ":" not in value):
            fail(path, f"{value!r} is no {kind}")
    elif SCHEMA[kind] is not None:
        if not isinstance(value, dict):
            fail(path, "no object")
        for name, (required, of) in SCHEMA[kind].items():
            if name in value:
                check(f"{path}.{name}", value[name], of)
            elif required:
                fail(path, f"{name} is missing")
        for name in value:
            if name not in SCHEMA[kind]:
                fail(path, f"{name} is no property of it")


log = json.load(sys.stdin)
check("log", log, "log")
if log["version"] != "2.1.0" or len(log["runs"]) != 1:
    fail("log", "not 2.1.0, or not one run")
run = log["runs"][0]
rules = run["tool"]["driver"]["rules"]
if len({r["id"] for r in rules}) != len(rules):
    fail("rules", "an id twice")
for i, r in enumerate(run["results"]):
    if rules[r["ruleIndex"]]["id"] != r["ruleId"]:
        fail(f"results[{i}]", "ruleIndex and ruleId differ")
    ids = [l["id"] for l in r.get("relatedLocations", [])]
    if len(set(ids)) != len(ids):
        fail(f"results[{i}]", "an id of related locations twice")
print(f"valid: {len(run['results'])} results, {len(rules)} rules")
