"""Former: a pod as it was before a sidecar was injected, if it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from towpath.inject.names import (
    BOOTSTRAP,
    CREDENTIAL,
    INIT_CONTAINER,
    INJECTION,
    POD_IP_CONTAINER,
    PROBES,
    REDIRECT,
    SIDECAR_CONTAINER,
    VERSION,
    VOLUME,
)
from towpath.inject.pod_resources import without_parts
from towpath.inject.probes import KINDS, restored
from towpath.inject.refusal import Refused
from towpath.inject.shape import checked
from towpath.sources.decode.quantity import quantity

_ADDED = (BOOTSTRAP, CREDENTIAL, REDIRECT, PROBES, VERSION)
_NAMES = (INIT_CONTAINER, POD_IP_CONTAINER, SIDECAR_CONTAINER)
Part = Mapping[str, Any]


class Former:
    """The `metadata` and `spec` that a pod had. Raises Refused if others than Towpath have taken
    the names of its parts.
    """

    def __init__(self, pod: Part) -> None:
        self._pod = pod
        metadata, spec = pod.get("metadata") or {}, pod["spec"]
        annotations = metadata.get("annotations") or {}
        _refuse_others(spec)
        own = [one for one in spec.get("initContainers") or () if _is_own(one)]
        self._injected = bool(own)
        originals = _originals(annotations) if self._injected else {}
        self.metadata = {
            **metadata,
            "annotations": {n: text for n, text in annotations.items() if n not in _ADDED},
        }
        self.spec: dict[str, Any] = {
            **spec,
            "containers": _former_containers(spec["containers"], originals),
            "initContainers": _former_containers(
                [one for one in spec.get("initContainers") or () if not _is_own(one)],
                originals,
            ),
            "volumes": [one for one in spec.get("volumes") or () if one["name"] != VOLUME],
            **without_parts(spec, own),
        }
        checked({"metadata": self.metadata, "spec": self.spec})

    def settled(self, after: dict[str, Any]) -> dict[str, Any]:
        """*after*, with what the pod has already, and an API server has filled in, as it is."""
        if not self._injected:
            return after
        before, spec = self._pod["spec"], after["spec"]
        for field in ("initContainers", "containers", "volumes"):
            there = {one["name"]: one for one in before.get(field) or ()}
            spec[field] = [_settled_part(one, there.get(one["name"])) for one in spec[field]]
        if "resources" in spec and _covers(before.get("resources"), spec["resources"]):
            spec["resources"] = before["resources"]
        return after


def _is_own(container: Part) -> bool:
    """True for an init container that was injected."""
    mounts = container.get("volumeMounts") or ()
    return container["name"] in _NAMES and any(mount.get("name") == VOLUME for mount in mounts)


def _refuse_others(spec: Part) -> None:
    """Raises Refused if what is not ours has a name that ours would have."""
    init = spec.get("initContainers") or ()
    taken = [
        f"container {one['name']}"
        for one in (*(one for one in init if not _is_own(one)), *spec["containers"])
        if one["name"] in _NAMES
    ]
    if not any(map(_is_own, init)):
        names = {one["name"] for one in spec.get("volumes") or ()}
        taken += [f"volume {VOLUME}"] if VOLUME in names else []
    if taken:
        raise Refused(
            f"the pod has its own {' and '.join(taken[:3])}, which would be the sidecar's: rename "
            f'it, or set the annotation {INJECTION}: "disabled" if the pod brings a sidecar'
        )


def _originals(annotations: Mapping[str, str]) -> dict[str, Any]:
    try:
        originals = json.loads(annotations.get(PROBES, "{}"))
    except ValueError:
        return {}
    return originals if isinstance(originals, dict) else {}


def _former_containers(
    containers: Sequence[Part], originals: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [
        restored(one, original)
        if isinstance(original := originals.get(one["name"]), dict)
        else {**one}
        for one in containers
    ]


def _settled_part(wanted: Part, there: Part | None) -> Part:
    if there is None:
        return wanted
    if _covers(there, wanted):
        return there
    kept = {
        field: there[field]
        for field in KINDS
        if field in wanted and _covers(there.get(field), wanted[field])
    }
    return {**wanted, **kept}


def _covers(there: Any, wanted: Any) -> bool:
    """True if all that is wanted is there, whatever else is."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            name in there and _covers(there[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        # Each behind the one before, so that long lists cost no more than their length.
        rest: Iterator[Any] = iter(there if isinstance(there, list) else ())
        return all(any(_covers(one, item) for one in rest) for item in wanted)
    if isinstance(there, str) and isinstance(wanted, str) and there != wanted:
        amounts = quantity(there), quantity(wanted)
        return amounts[0] is not None and amounts[0] == amounts[1]
    return type(there) is type(wanted) and bool(there == wanted)
