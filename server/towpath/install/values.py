"""What `--set KEY=VALUE` can say, by the names that Open Service Mesh's chart has for it."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.settings import MeshSettings, all_settings

LOG_LEVELS = all_settings()["log_level"].choices
SIDECAR_LOG_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESH = MeshSettings()


class ValueRefused(Exception):
    """A key that does not exist, or a value that is not allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """What may differ between installations; None and "" leave a manifest as it is.

    `preset` holds fields of the new MeshConfig's spec by their dotted path.
    """

    mesh_name: str = _MESH.mesh_name
    osm_namespace: str = _MESH.osm_namespace
    image_registry: str = ""
    image_tag: str = ""
    pull_policy: str = ""
    replicas: int | None = None
    log_level: str = ""
    preset: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it sets (a field of Values, or with a dot of the MeshConfig's spec).

    `schema` is what is allowed, in the JSON schema of the chart's values.
    """

    sets: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    allowed: str
    text: str

    @property
    def in_preset(self) -> bool:
        return "." in self.sets


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _replicas(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100:
        raise ValueError(text)
    return count


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return read


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _choice(sets: str, allowed: tuple[str, ...], text: str) -> Key:
    schema = {"enum": list(allowed)}
    return Key(sets, _one_of(allowed), schema, f"one of {', '.join(allowed)}", text)


def _switch(sets: str, text: str) -> Key:
    return Key(sets, _boolean, {"type": "boolean"}, "true or false", text)


def _name(sets: str, allowed: str, text: str) -> Key:
    return Key(sets, _text, {"type": "string", "minLength": 1}, allowed, text)


KEYS: Mapping[str, Key] = {
    "osm.enableEgress": _switch(
        "traffic.enableEgress", "Everything that no policy governs may leave the mesh."
    ),
    "osm.enablePermissiveTrafficPolicy": _switch(
        "traffic.enablePermissiveTrafficPolicyMode",
        "Every service of the mesh may be reached from everywhere in it.",
    ),
    "osm.featureFlags.enableEgressPolicy": _switch(
        "featureFlags.enableEgressPolicy", "Egress policies have effect."
    ),
    "osm.featureFlags.enableIngressBackendPolicy": _switch(
        "featureFlags.enableIngressBackendPolicy", "IngressBackend policies have effect."
    ),
    "osm.featureFlags.enableRetryPolicy": _switch(
        "featureFlags.enableRetryPolicy", "Retry policies have effect."
    ),
    "osm.sidecarLogLevel": _choice(
        "sidecar.logLevel", SIDECAR_LOG_LEVELS, "How much sidecars log."
    ),
    "osm.meshName": _name("mesh_name", "a name", "As --mesh-name."),
    "osm.osmNamespace": _name("osm_namespace", "a name", "As --osm-namespace."),
    "osm.image.registry": _name(
        "image_registry", "HOST or HOST/PATH", "Where the image is pulled from."
    ),
    "osm.image.tag": _name("image_tag", "a tag", "Which image; by default this version's."),
    "osm.image.pullPolicy": _choice("pull_policy", PULL_POLICIES, "When the image is pulled."),
    "osm.osmController.replicaCount": Key(
        *("replicas", _replicas, {"type": "integer", "minimum": 1, "maximum": 100}, "1 to 100"),
        "How many replicas of the control plane run.",
    ),
    "osm.controllerLogLevel": _choice("log_level", LOG_LEVELS, "How much the control plane logs."),
}


def parse(pairs: Iterable[str], start: Values) -> Values:
    """*start*, changed by `KEY=VALUE`s; several may stand in one, parted by commas, as Helm's.

    Raises ValueRefused, which names the key, what is allowed, or the nearest key that exists.
    """
    changed: dict[str, Any] = {}
    preset = dict(start.preset)
    for pair in (one for text in pairs for one in text.split(",")):
        name, equals, text = pair.strip().partition("=")
        if not (name and equals):
            raise ValueRefused(f"{pair!r} is not KEY=VALUE")
        key = KEYS.get(name)
        if key is None:
            raise ValueRefused(f"{name} is not a key{_nearest(name)}")
        try:
            value = key.read(text.strip())
        except (KeyError, ValueError) as error:
            raise ValueRefused(f"{name} is {text!r}: allowed is {key.allowed}") from error
        (preset if key.in_preset else changed)[key.sets] = value
    return dataclasses.replace(start, **changed, preset=preset)


def _nearest(name: str) -> str:
    folded = {key.lower(): key for key in KEYS}
    # What people remember is the last part.
    last = "." + name.lower().rpartition(".")[2]
    near = [key for key in folded if key.endswith(last)]
    near = near or difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]}?" if near else f"; keys are {', '.join(sorted(KEYS))}"
