"""A workload's pod: taken out of it, and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.inject.refusal import Refused
from towpath.sources.decode.findings import show
from towpath.sources.decode.workloads import PLACES


def pod_of(workload: Mapping[str, Any]) -> Any:
    """The pod that the workload is or describes. Raises Refused if there is none."""
    pod: Any = workload
    for name in PLACES[workload["kind"]]:
        pod = pod.get(name) if isinstance(pod, dict) else None
    if pod is None:
        place = ".".join(PLACES[workload["kind"]])
        raise Refused(f"{place} is {show(None)}: allowed: the pod that is made")
    return pod


def with_pod(workload: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The workload, with that pod in place of its own."""
    return _put(workload, PLACES[workload["kind"]], pod)


def _put(
    mapping: Mapping[str, Any], place: tuple[str, ...], pod: Mapping[str, Any]
) -> dict[str, Any]:
    if not place:
        return dict(pod)
    name, *rest = place
    return {**mapping, name: _put(mapping[name], tuple(rest), pod)}
