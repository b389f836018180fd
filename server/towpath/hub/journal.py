"""Journal: the log's account of what people change: policies, switches, files that do not parse.

Changes are gathered for a moment and told together, so that a change that is taken back at once is
none. Of a thousand policies that change together the first few have a line each, the others one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from towpath.hub.debounce import Debounce
from towpath.model.codes import Code
from towpath.model.mesh import Mesh, Object, ObjectKey
from towpath.model.meshconfig import MESH_CONFIG_NAME, SWITCHES, MeshConfig
from towpath.model.names import CUSTOM_KINDS, Kind, ObjectRef
from towpath.model.problem import Problem

log = logging.getLogger(__name__)

FILE = "File"
"""The kind of a Problem with a file as a whole."""

MOST_LINES = 20
"""How many lines one account has of each sort; what is more is counted in one line."""

Finding = tuple[ObjectRef, str, Code, str]
"""A Problem but for its place, which moves with every line that is added above it."""


class Source(Protocol):
    """What the journal needs of the hub."""

    @property
    def mesh(self) -> Mesh: ...
    @property
    def ready(self) -> bool: ...
    async def policy_problems(self) -> tuple[Problem, ...]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line to come: *change* says in a word what has happened to *ref*."""

    level: int
    ref: ObjectRef
    change: str
    text: str
    field: str = ""
    reason: str = ""

    def write(self) -> None:
        """Log it, with what it names as fields."""
        name = f"{self.ref.namespace}/{self.ref.name}" if self.ref.namespace else self.ref.name
        fields = {"kind": self.ref.kind, "change": self.change}
        fields["file" if self.ref.kind == FILE else "policy"] = name
        if self.reason:
            fields |= {"field": self.field, "reason": self.reason}
        log.log(self.level, "%s", self.text, extra=fields)


class Journal:
    """Tells what has changed since it told last, whenever *debounce* lets changes through."""

    def __init__(self, hub: Source, debounce: Debounce) -> None:
        self._hub = hub
        self._debounce = debounce
        self._objects: dict[Kind, Mapping[ObjectKey, Object]] | None = None
        self._config = MeshConfig()
        self._problems: dict[Finding, Problem] = {}

    async def run(self) -> None:
        """Follow the hub until cancelled."""
        while True:
            await self._debounce.wait()
            if self._hub.ready:
                await self.tell()

    async def tell(self) -> None:
        """Log what has changed."""
        mesh = self._hub.mesh
        problems = [*mesh.problems, *await self._hub.policy_problems()]
        objects = {kind: mesh.members.get((kind, "all"), {}) for kind in CUSTOM_KINDS}
        before, self._objects = self._objects, objects
        config_before, self._config = self._config, mesh.config() or MeshConfig(mesh.osm_namespace)
        if before is None:
            _begin(objects, self._config)
        else:
            _write(_object_lines(before, objects))
            _write_switches(config_before, self._config)
        by_finding = {_finding(p): p for p in problems if p.object.kind in (*CUSTOM_KINDS, FILE)}
        earlier, self._problems = self._problems, by_finding
        lines = _problem_lines(earlier, by_finding)
        _write([line for line in lines if line.level == logging.INFO])
        _write([line for line in lines if line.level != logging.INFO])


def _begin(objects: Mapping[Kind, Mapping[ObjectKey, Object]], config: MeshConfig) -> None:
    """What there is at first is told in one line, however much it is."""
    counts = {str(kind): len(members) for kind, members in objects.items()}
    switches = {path: getattr(config, attribute) for attribute, path in SWITCHES.items()}
    text = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    text += "; " + ", ".join(f"{path} {_shown(value)}" for path, value in switches.items())
    log.info("the mesh begins with %s", text, extra={"objects": counts, "switches": switches})


def _write_switches(before: MeshConfig, after: MeshConfig) -> None:
    for attribute, path in SWITCHES.items():
        old, new = getattr(before, attribute), getattr(after, attribute)
        if old != new:
            name = f"{after.namespace}/{MESH_CONFIG_NAME}"
            fields = {"policy": name, "field": path, "before": old, "after": new}
            text = "MeshConfig %s: %s is %s now, it was %s"
            log.info(text, name, path, _shown(new), _shown(old), extra=fields)


def _object_lines(
    before: Mapping[Kind, Mapping[ObjectKey, Object]],
    after: Mapping[Kind, Mapping[ObjectKey, Object]],
) -> list[Line]:
    lines = []
    for kind in CUSTOM_KINDS:
        old, new = before[kind], after[kind]
        # The store copies the members of a kind before it changes any of them.
        if old is new:
            continue
        changed = (key for key in old.keys() | new.keys() if old.get(key) is not new.get(key))
        for key in sorted(changed):
            change = "removed" if key not in new else "changed" if key in old else "added"
            ref = ObjectRef(*key)
            lines.append(Line(logging.INFO, ref, change, f"{ref} was {change}"))
    return lines


def _problem_lines(
    before: Mapping[Finding, Problem], after: Mapping[Finding, Problem]
) -> list[Line]:
    lines = []
    for finding in sorted(before.keys() ^ after.keys()):
        ref, field, code, _ = finding
        broken = finding in after
        change = "broken" if broken else "resolved"
        problem = after[finding] if broken else before[finding]
        level = logging.WARNING if broken and ref.kind == FILE else logging.INFO
        lines.append(Line(level, ref, change, f"{change}: {problem}", field, code.reason))
    return lines


def _write(lines: list[Line]) -> None:
    for line in lines[:MOST_LINES]:
        line.write()
    more = Counter(line.change for line in lines[MOST_LINES:])
    if more:
        text = ", ".join(f"{count} {change}" for change, count in more.items())
        log.log(lines[0].level, "and more: %s", text, extra={"more": dict(more)})


def _finding(problem: Problem) -> Finding:
    return problem.object, problem.field, problem.code, problem.message


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
