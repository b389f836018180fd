"""The switches of a MeshConfig that what is misspelt, or in a wrong place, may be meant for.

A switch whose default lets more in or out than its other values must not come to that default
because its name, or that of a section around it, has a slip, or because a section is no mapping.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from towpath.sources.decode.meshconfig_table import FIELDS, schema
from towpath.sources.decode.modes import seems_strict
from towpath.sources.decode.schema import Schema, shortened
from towpath.sources.decode.slips import meant
from towpath.sources.decode.tls import seems_newest

PERMISSIVE = "enablePermissiveTrafficPolicyMode"
EGRESS = "enableEgress"
EGRESS_POLICY = "enableEgressPolicy"
AUTHORIZATION = "inboundExternalAuthorization"
MTLS = "mtls"
TLS_MINIMUM = "tlsMinProtocolVersion"

SCHEMA = Schema.of_object(schema())
_AUTHORIZATION_FIELDS = SCHEMA.sections["spec"].sections["traffic"].sections[AUTHORIZATION].names

MOST_NAMES = 1000
"""How many names that are not known are looked at; with more, each switch is in doubt."""
_CUTOFF = 0.75

Doubts = Mapping[str, str]
"""A switch's name, and the path of what may be meant for it."""


def _asks(value: object) -> bool:
    return value is not None


def _asks_for_policies(value: object) -> bool:
    return value is not None and value is not False


def asks_elsewhere(value: object) -> bool:
    """True if a section for external authorization may be meant to have somebody asked."""
    if not isinstance(value, dict):
        return value is not None
    enable = value.get("enable")
    return enable is not False and (enable is not None or not value.keys() <= _AUTHORIZATION_FIELDS)


_SWITCHES: Mapping[str, Callable[[object], bool]] = {
    PERMISSIVE: _asks,
    EGRESS: _asks,
    EGRESS_POLICY: _asks_for_policies,
    AUTHORIZATION: asks_elsewhere,
    MTLS: seems_strict,
    TLS_MINIMUM: seems_newest,
}
"""Each with whether a value may be meant to close more than the default does."""

_HOLDERS: Mapping[str, tuple[str, ...]] = {
    "spec": tuple(_SWITCHES),
    "traffic": (PERMISSIVE, EGRESS, AUTHORIZATION, MTLS),
    "featureFlags": (EGRESS_POLICY,),
    "sidecar": (TLS_MINIMUM,),
}
"""The switches in each section."""

_FOLDED = {name.lower(): name for name in _SWITCHES}
_OTHERS = {f.path.rpartition(".")[2] for f in FIELDS} - _SWITCHES.keys()


class _Mapping(NamedTuple):
    """One to be looked at; `schema`: whose names it should have; `misplaced`: they mean nothing
    where it stands.
    """

    raw: Mapping[str, object]
    path: str
    schema: Schema | None
    misplaced: bool


def doubts(raw: Mapping[str, object], *, full: bool) -> Doubts:
    """The switches that a MeshConfig may mean by what is not read as them, wherever it stands.

    *full*: there are more Problems than are listed, so that each switch is in doubt.
    """
    if full:
        return dict.fromkeys(_SWITCHES, "spec")
    result: dict[str, str] = {}
    for name, path in _doubts(raw):
        result.setdefault(name, path)
    return result


def _doubts(raw: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    waiting = deque([_Mapping(raw, "", SCHEMA, misplaced=False)])
    count = 0
    while waiting:
        mapping = waiting.popleft()
        for name, value in mapping.raw.items():
            at = f"{mapping.path}.{shortened(name)}" if mapping.path else shortened(name)
            names = mapping.schema.names if mapping.schema else frozenset()
            if name in names and not mapping.misplaced:
                below = mapping.schema.sections.get(name) if mapping.schema else None
                if below is not None:
                    wrong = name in _HOLDERS and not isinstance(value, dict)
                    waiting += _within(value, at, below, misplaced=wrong)
                    yield from _unreadable(name, value, at)
                continue
            count += 1
            if count > MOST_NAMES:
                yield from dict.fromkeys(_SWITCHES, "spec").items()
                return
            near = mapping.schema.nearest(name) if mapping.schema else None
            yield from ((one, at) for one in _meant(name, near) if _SWITCHES[one](value))
            section = meant(name, _HOLDERS) or (name if name in _HOLDERS else "")
            yield from _unreadable(section, value, at)
            below = mapping.schema.sections.get(near) if mapping.schema and near else None
            waiting += _within(value, at, below, misplaced=True)


def _within(
    value: object, path: str, schema: Schema | None, *, misplaced: bool
) -> Iterator[_Mapping]:
    """The mapping that a value is, or the mappings in a list."""
    if isinstance(value, dict):
        yield _Mapping(value, path, schema, misplaced)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield _Mapping(item, f"{path}[{index}]", schema, misplaced)


def _unreadable(section: str, value: object, path: str) -> Iterator[tuple[str, str]]:
    """Each switch of a section that holds something other than mappings."""
    parts = value if isinstance(value, list) else [value]
    if any(not isinstance(part, dict) and part not in (None, "", []) for part in parts):
        yield from ((name, path) for name in _HOLDERS.get(section, ()))


def _meant(name: str, near: str | None) -> set[str]:
    """The switches that a name may be meant for; *near* is the one that a Problem suggests.

    What is all but the name of another field is meant for that one.
    """
    if name in _SWITCHES:
        return {name}
    slips = {switch for switch in _SWITCHES if meant(name, (switch,))}
    if slips or name in _OTHERS or meant(name, _OTHERS):
        return slips
    small = shortened(name).lower()
    alike = difflib.get_close_matches(small, _FOLDED, n=len(_FOLDED), cutoff=_CUTOFF)
    return {_FOLDED[one] for one in alike} | ({near} & _SWITCHES.keys() if near else set())
