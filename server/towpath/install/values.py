"""What `--set KEY=VALUE` has said: the values of one installation."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from towpath.install.keys import ELSEWHERE, KEYS, Key
from towpath.install.pairs import Pair, PairError, Step, pairs_of, put
from towpath.settings import MeshSettings

_MESH = MeshSettings()
_RESOURCE = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}


class ValueRefused(Exception):
    """A key that does not exist, or a value that is not allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """What may differ between installations; None and what is empty leave a manifest as it is.

    `preset` holds fields of the new MeshConfig's spec by their dotted path.
    """

    mesh_name: str = _MESH.mesh_name
    osm_namespace: str = _MESH.osm_namespace
    image_registry: str = ""
    image_tag: str = ""
    pull_policy: str = ""
    pull_secrets: Sequence[Any] = ()
    replicas: int | None = None
    resource: Mapping[str, Any] = field(default_factory=lambda: dict(_RESOURCE))
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Any] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    log_level: str = ""
    preset: Mapping[str, Any] = field(default_factory=dict)


def parse(pairs: Iterable[str], start: Values) -> Values:
    """*start*, changed by `KEY=VALUE`s; several may stand in one, parted by commas, as Helm's.

    Raises ValueRefused, which names the key, what is allowed, or the nearest key that exists.
    """
    changed: dict[str, Any] = {}
    preset = dict(start.preset)
    structured: dict[str, Any] = {}
    for pair in (one for text in pairs for one in _pairs(text)):
        name, rest = _key(pair.path)
        key = KEYS[name]
        if key.structure is None:
            (preset if key.in_preset else changed)[key.sets] = _read(name, key, pair.value)
            continue
        present = preset.get(key.sets) if key.in_preset else getattr(start, key.sets)
        structured[name] = _put(name, structured.get(name, present), rest, pair.value)
    # Only the whole of it can be right: a part may need another one.
    for name, value in structured.items():
        key = KEYS[name]
        (preset if key.in_preset else changed)[key.sets] = _checked(name, key, value)
    return dataclasses.replace(start, **changed, preset=preset)


def _pairs(text: str) -> Iterable[Pair]:
    try:
        yield from pairs_of(text)
    except PairError as error:
        raise ValueRefused(str(error)) from error


def _key(path: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]]:
    """The key that a path begins with, and what of the path is inside of its value."""
    for length in range(len(path), 0, -1):
        name = ".".join(map(str, path[:length]))
        key = KEYS.get(name)
        if key is not None and (length == len(path) or key.structure is not None):
            return name, path[length:]
    name = ".".join(map(str, path))
    for length in range(len(path), 0, -1):
        if reason := ELSEWHERE.get(".".join(map(str, path[:length]))):
            raise ValueRefused(f"{name} is not a key: {reason}")
    raise ValueRefused(f"{name} is not a key{_nearest(name)}")


def _read(name: str, key: Key, value: str | list[str]) -> Any:
    try:
        return key.read(str(value))
    except (KeyError, ValueError) as error:
        raise ValueRefused(f"{name} is {value!r}: allowed is {key.allowed}") from error


def _put(name: str, present: Any, rest: tuple[Step, ...], value: str | list[str]) -> Any:
    try:
        return put(present, rest, value)
    except PairError as error:
        raise ValueRefused(f"{name}: {error}") from error


def _checked(name: str, key: Key, value: Any) -> Any:
    """The value as its type has it."""
    allowed = f"allowed is {key.allowed}"
    try:
        # What is typed is text; in the type's place it may be a number.
        checked = msgspec.convert(value, key.structure, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`$", f"`{name}")
        raise ValueRefused(f"{name} is {value!r}: {allowed} ({reason})") from error
    if own := [one for one in key.reserved if one in value]:
        raise ValueRefused(f"{name} has {own[0]}: {allowed}")
    return msgspec.to_builtins(checked)


def _nearest(name: str) -> str:
    folded = {key.lower(): key for key in KEYS}
    # What people remember is the last part.
    last = "." + name.lower().rpartition(".")[2]
    near = [key for key in folded if key.endswith(last)]
    near = near or difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]}?" if near else f"; keys are {', '.join(sorted(KEYS))}"
