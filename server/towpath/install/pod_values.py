"""Values of `--set` and of the chart that have a structure, as Kubernetes has it.

One declaration gives both: what `--set` is held against, and the JSON schema of the chart's values.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

Quantity: TypeAlias = (
    Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")] | int | float
)
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
Range: TypeAlias = Annotated[str, Meta(pattern="^([0-9]{1,3}[.]){3}[0-9]{1,3}/[0-9]{1,2}$")]
Interface: TypeAlias = Annotated[str, Meta(min_length=1, max_length=15)]
Weight: TypeAlias = Annotated[int, Meta(ge=1, le=100)]


class _Structure(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Amounts(_Structure):
    cpu: Quantity | UnsetType = UNSET
    memory: Quantity | UnsetType = UNSET


class Resource(_Structure):
    """What a container requests, and what it may have at most."""

    requests: Amounts | UnsetType = UNSET
    limits: Amounts | UnsetType = UNSET


class SecretName(_Structure):
    """The name of a Secret in the same namespace."""

    name: Annotated[str, Meta(min_length=1)]


class Toleration(_Structure):
    """Which taint of a node the pods put up with."""

    key: str = ""
    operator: Literal["Exists", "Equal"] | UnsetType = UNSET
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | UnsetType = UNSET
    toleration_seconds: int | UnsetType = UNSET


class _NodePreference(_Structure):
    weight: Weight
    preference: dict[str, Any]


class _NodeAffinity(_Structure):
    required_during_scheduling_ignored_during_execution: dict[str, Any] | UnsetType = UNSET
    preferred_during_scheduling_ignored_during_execution: list[_NodePreference] = []


class _PodPreference(_Structure):
    weight: Weight
    pod_affinity_term: dict[str, Any]


class _PodAffinity(_Structure):
    required_during_scheduling_ignored_during_execution: list[dict[str, Any]] = []
    preferred_during_scheduling_ignored_during_execution: list[_PodPreference] = []


class Affinity(_Structure):
    """Which nodes the pods want, and beside which pods."""

    node_affinity: _NodeAffinity | UnsetType = UNSET
    pod_affinity: _PodAffinity | UnsetType = UNSET
    pod_anti_affinity: _PodAffinity | UnsetType = UNSET
