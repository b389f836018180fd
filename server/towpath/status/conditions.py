"""Conditions: what has become of one policy, as the document for its status subresource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from towpath.answers.status import Counts, PolicyStatus
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.codes import Code, Reason
from towpath.model.names import Kind
from towpath.model.problem import Problem

StatusDocument = Mapping[str, Any]

ACCEPTED, PROGRAMMED = "Accepted", "Programmed"
_COUNTED = ("observedGeneration", "affectedSidecars", "acknowledgedSidecars")
_LISTED_PROBLEMS = 10
_LONGEST_MESSAGE = 4096
_DECIDING = (
    Reason.NOT_ENABLED,
    Reason.NOT_IN_MESH,
    Reason.FORBIDDEN,
    Reason.TOO_LARGE,
    Reason.MISSING,
    Reason.CONFLICT,
    Reason.NOT_SUPPORTED,
    Reason.INVALID,
)
"""Reasons from the one that alone would have been enough to those of a part."""


def status_document(
    status: PolicyStatus,
    counts: Counts,
    *,
    unheard: Iterable[str],
    present: StatusDocument,
    now: str,
) -> StatusDocument:
    """The whole status of a policy.

    *counts* are those of all replicas, *unheard* the replicas that have not said theirs for its
    present generation; *present* is its present status, whose transition times are kept.
    """
    accepted = _accepted(status)
    programmed = _programmed(status, counts, tuple(unheard))
    return {
        "conditions": [
            _condition(ACCEPTED, accepted, status.stamp.generation, present, now),
            _condition(PROGRAMMED, programmed, status.stamp.generation, present, now),
        ],
        "observedGeneration": status.stamp.generation,
        "affectedSidecars": counts.affected,
        "acknowledgedSidecars": counts.acknowledged,
    }


def owned_fields(status: object) -> StatusDocument:
    """Of a status that the cluster holds what `status_document` writes, whatever else is there."""
    if not isinstance(status, Mapping):
        return {}
    raw = status.get("conditions")
    conditions = {
        one.get("type"): one
        for one in (raw if isinstance(raw, list) else ())
        if isinstance(one, Mapping)
    }
    document = {key: status[key] for key in _COUNTED if key in status}
    return {
        "conditions": [conditions[kind] for kind in (ACCEPTED, PROGRAMMED) if kind in conditions],
        **document,
    }


def apply_document(status: PolicyStatus, document: StatusDocument) -> StatusDocument:
    """The object to apply; its uid makes sure that no later object of that name is meant."""
    ref = status.ref
    return {
        "apiVersion": COLLECTIONS[Kind(ref.kind)].api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "uid": status.stamp.uid},
        "status": document,
    }


def summary(problems: tuple[Problem, ...], *, longest: int = _LONGEST_MESSAGE) -> str:
    """Problems as one text of bounded length."""
    parts = [": ".join(filter(None, (p.field, p.message))) for p in problems[:_LISTED_PROBLEMS]]
    if (more := len(problems) - _LISTED_PROBLEMS) > 0:
        parts.append(f"and {more} more")
    text = "; ".join(parts)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def condition_states(document: StatusDocument) -> tuple[object, ...]:
    """What somebody may wait for, so that its change is written first: each condition's status
    and reason, and the generation.
    """
    conditions = (
        (c["type"], c.get("status"), c.get("reason")) for c in document.get("conditions", ())
    )
    return (*conditions, document.get("observedGeneration"))


ConditionState = tuple[bool, str, str]
"""True or False, the reason in one word, and the message."""


def _accepted(status: PolicyStatus) -> ConditionState:
    if not status.accepted:
        reasons = {problem.reason for problem in status.problems if not _is_source(problem)}
        first = next((reason.value for reason in _DECIDING if reason in reasons), "NoEffect")
        return False, first, summary(status.problems) or "it allows nothing"
    if status.in_conflict:
        return True, "Conflict", summary(status.problems)
    if status.problems:
        return True, "PartlyAccepted", summary(status.problems)
    return True, "Accepted", ""


def _is_source(problem: Problem) -> bool:
    """True for a source that does not exist: it is no reason for a policy to open nothing."""
    return problem.code is Code.MISSING_ACCOUNT


def _programmed(status: PolicyStatus, counts: Counts, unheard: tuple[str, ...]) -> ConditionState:
    have = f"{counts.acknowledged} of {counts.affected} connected sidecars have acknowledged it"
    if not status.accepted:
        return False, "NotAccepted", "the policy has no effect, so nothing was sent to sidecars"
    if counts.rejecting:
        refused = f"{have}, {counts.rejecting} rejected the last update"
        return False, "Rejected", f"{refused}: see towpath sidecars"
    if unheard:
        return False, "Pending", f"{have}; not yet reported by {', '.join(unheard)}"
    if counts.acknowledged < counts.affected:
        return False, "Pending", have
    if not counts.affected:
        return True, "NoSidecars", "no connected sidecar is selected by the policy"
    return True, "Programmed", have


def _condition(
    kind: str, state: ConditionState, generation: int, present: StatusDocument, now: str
) -> dict[str, Any]:
    holds, reason, message = state
    word = "True" if holds else "False"
    before: StatusDocument = next(
        (c for c in present.get("conditions", ()) if c["type"] == kind), {}
    )
    since = before.get("lastTransitionTime") if before.get("status") == word else None
    return {
        "type": kind,
        "status": word,
        "observedGeneration": generation,
        "lastTransitionTime": since or now,
        "reason": reason,
        "message": message,
    }
