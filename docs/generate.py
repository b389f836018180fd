"""Writes what is made of tables in the code: `make tables`.

Of the table of MeshConfig's fields these are the descriptions in deploy/crds/meshconfigs.yaml, and
docs/meshconfig.md; of the declarations of the settings, their tables in docs/operate.md; of the
codes of Problems, docs/problems.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from towpath.model.codes import Code, Severity
from towpath.settings import Group, Setting, declared, groups
from towpath.sources.decode.meshconfig_table import FIELDS, IMAGES, Field, How

ROOT = Path(__file__).parents[1]
CRD = ROOT / "deploy/crds/meshconfigs.yaml"
PAGE = ROOT / "docs/meshconfig.md"
OPERATE = ROOT / "docs/operate.md"
PROBLEMS = ROOT / "docs/problems.md"
BEGIN = "<!-- The tables of settings: made from their declarations by `make tables`. -->\n"
END = "<!-- End of the tables of settings. -->\n"
NO_EFFECT = "No effect in Towpath."

INTRODUCTION = """\
# MeshConfig

The object `osm-mesh-config` in the control plane's namespace. It keeps every field of Open \
Service Mesh's and osm-edge's, so that a MeshConfig moves over as it is.

A field that has no effect, and is set to something else than those two set by themselves, is a \
Problem, `NotSupported`: in `towpath problems`, and as an Event. A field that is not known is a \
Problem, `UnknownField`; if it may have been meant for a switch, the switch is off.

This page is made from the table in the code by `make tables`.

| field below `spec` | meaning | effect |
|---|---|---|
"""

PROBLEMS_INTRODUCTION = """\
# Problems

A Problem is one fault of the input. It has a code, which says what sort of fault it is, and the \
code a severity:

| severity | meaning |
|---|---|
| `error` | something that is asked for does not happen: it is left out, closed |
| `warning` | something has no effect, or another one than is likely meant |
| `info` | nothing is wrong: a switch is off, an object is not used, something was assumed |

A code keeps its name and its severity within one minor version. The reason is the word that \
Events, conditions and the metric `towpath_problems` have for it.

`towpath problems` ends with exit code 1 if there is an error or a warning; `--fail-on` chooses \
another severity: [ci.md](ci.md).

This page is made from the table in the code by `make tables`.
"""
_TITLES = {Severity.ERROR: "Errors", Severity.WARNING: "Warnings", Severity.INFO: "Notes"}


def crd(text: str) -> str:
    """The definition with the descriptions of the table; all else stays as it is."""
    schema = _at(yaml.compose(text), "spec", "versions", 0, "schema", "openAPIV3Schema")
    found = dict(_descriptions(_at(schema, "properties", "spec"), ""))
    described = ((found[field.path], _described(field)) for field in FIELDS)
    for node, description in sorted(described, key=lambda d: -d[0].start_mark.index):
        begin, end = node.start_mark.index, node.end_mark.index
        text = f"{text[:begin]}{json.dumps(description)}{text[end:]}"
    return text


def page() -> str:
    shown = (field for field in FIELDS if field.support is not How.SECTION)
    rows = (f"| `{field.path}` | {field.about} | {_effect(field)} |\n" for field in shown)
    return INTRODUCTION + "".join(rows)


def problems() -> str:
    """docs/problems.md: each code by itself, below its severity."""
    sections = []
    for severity, title in _TITLES.items():
        codes = sorted(code for code in Code if code.severity is severity)
        sections.append(f"\n## {title}\n" + "".join(map(_code_section, codes)))
    return PROBLEMS_INTRODUCTION + "".join(sections)


def _code_section(code: Code) -> str:
    remedy = f"What to do: {code.remedy[0].lower()}{code.remedy[1:]}"
    return f"\n### {code.value}\n\n{code.meaning} Reason: `{code.reason}`.\n\n{remedy}\n"


def operate(text: str) -> str:
    """docs/operate.md with the tables of settings; all else stays as it is."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "".join(map(_table, groups().values())) + "\n" + END + after


def _table(group: type[Group]) -> str:
    rows = "".join(map(_setting_row, declared(group)))
    return (
        f"\n### {group.title}\n\n| flag | default | allowed | meaning |\n|---|---|---|---|\n{rows}"
    )


def _setting_row(setting: Setting) -> str:
    flag, default = setting.flag, ""
    if setting.default is True:
        flag, default = f"{flag}, --no-{setting.key}", "on"
    elif isinstance(setting.default, (int, float)) and setting.default is not False:
        default = f"`{setting.default:g}`"
    elif setting.default:
        default = f"`{setting.default}`"
    return f"| `{flag}` | {default} | {setting.allowed} | {setting.help} |\n"


def _described(field: Field) -> str:
    return field.about if field.has_effect else f"{field.about} {NO_EFFECT}"


def _effect(field: Field) -> str:
    if field.has_effect:
        return "yes"
    if isinstance(field.support, How):
        return "none"
    if isinstance(field.support, tuple):
        quiet = [json.dumps(value) for value in field.support if value != ""]
        return f"none; no Problem: {', '.join(quiet)}" if quiet else "none"
    whose = "their own images" if field.support is IMAGES else "their own modules"
    return f"none; no Problem: {whose}"


def _descriptions(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
    for name, field in _pairs(_at(node, "properties")):
        here = f"{path}.{name}" if path else name
        parts = dict(_pairs(field))
        if "description" in parts:
            yield here, parts["description"]
        inner = parts.get("items", field)
        if "properties" in dict(_pairs(inner)):
            yield from _descriptions(inner, here)


def _at(node: yaml.Node, *keys: str | int) -> yaml.Node:
    for key in keys:
        node = node.value[key] if isinstance(key, int) else dict(_pairs(node))[key]
    return node


def _pairs(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    return [(key.value, value) for key, value in node.value]


if __name__ == "__main__":
    CRD.write_text(crd(CRD.read_text()))
    PAGE.write_text(page())
    OPERATE.write_text(operate(OPERATE.read_text()))
    PROBLEMS.write_text(problems())
