"""Events: what `kubectl describe` shows of an object that is rejected, or in conflict."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.kubeapi.paths import COLLECTIONS, EVENTS
from towpath.model.codes import Reason
from towpath.model.mesh import Mesh, Object
from towpath.model.names import CUSTOM_KINDS, Kind, ObjectRef, Stamp
from towpath.model.problem import Problem
from towpath.status.conditions import summary

CONTROLLER = "towpath"
_LONGEST_NOTE = 1024
_LONGEST_NAME = 253
_TOLD = frozenset(Reason) - {Reason.NOT_ENABLED, Reason.NOT_IN_MESH}
"""A switch that is off, or a namespace that is not of the mesh, may be wanted so."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell about one object; what says the same has the same name."""

    ref: ObjectRef
    uid: str
    reason: Reason
    note: str

    @property
    def name(self) -> str:
        digest = hashlib.sha256(f"{self.uid}\n{self.reason}\n{self.note}".encode()).hexdigest()[:16]
        return f"{self.ref.name[: _LONGEST_NAME - 17].rstrip('.-')}.{digest}"

    @property
    def path(self) -> str:
        return EVENTS.path(self.ref.namespace)

    def document(self, *, now: str, instance: str) -> Mapping[str, Any]:
        """The object to create, at the time *now*, by the replica *instance*."""
        ref = self.ref
        return {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": self.name, "namespace": ref.namespace},
            "eventTime": now,
            "type": "Warning",
            "reason": self.reason.value,
            "action": "Plan",
            "note": self.note,
            "reportingController": CONTROLLER,
            "reportingInstance": instance[:128],
            "regarding": {
                "apiVersion": COLLECTIONS[Kind(ref.kind)].api_version,
                "kind": ref.kind,
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": self.uid,
            },
        }


def events(mesh: Mesh, problems: Iterable[Problem]) -> Iterator[Event]:
    """One for each object of Towpath's own kinds and reason of its Problems."""
    grouped: dict[tuple[ObjectRef, Reason], list[Problem]] = {}
    for problem in problems:
        if problem.object.kind in CUSTOM_KINDS and problem.reason in _TOLD:
            grouped.setdefault((problem.object, problem.reason), []).append(problem)
    for (ref, reason), same in grouped.items():
        uid = _stamp(mesh.get(Kind(ref.kind), ref.namespace, ref.name)).uid
        if uid:
            note = summary(tuple(sorted(same)), longest=_LONGEST_NOTE)
            yield Event(ref, uid, reason, note)


def _stamp(obj: Object | None) -> Stamp:
    stamp = getattr(obj, "stamp", None)
    return stamp if isinstance(stamp, Stamp) else Stamp()
