"""Decode: one raw Kubernetes object in, one model value and its Problems out.

Only this package knows Kubernetes' names of kinds and fields; it knows nothing of where an object
was read. Begin with the table of kinds below, then `egress`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from towpath.kubeapi.jsonbytes import read_json
from towpath.model.codes import Code
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.model.workloads import Pod
from towpath.sources.decode import core, services, structs
from towpath.sources.decode.egress import closed_egress, egress
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.ingress_backends import ingress_backend
from towpath.sources.decode.meshconfig import closed_mesh_config, mesh_config
from towpath.sources.decode.names import NameRule
from towpath.sources.decode.retries import retry
from towpath.sources.decode.route_groups import route_group
from towpath.sources.decode.slips import meant, report_slips
from towpath.sources.decode.tcp_routes import tcp_route
from towpath.sources.decode.traffic_splits import traffic_split
from towpath.sources.decode.traffic_targets import traffic_target
from towpath.sources.decode.upstream_traffic_settings import (
    closed_setting,
    upstream_traffic_setting,
)
from towpath.sources.decode.workloads import first_pod
from towpath.telemetry.once import FaultsOnce

log = logging.getLogger(__name__)

S = TypeVar("S", bound=structs.Core)
Raw = Mapping[str, object]

UNNAMED = "(unnamed)"
"""The name in the ref of an object that has none."""

_LONGEST_NAME = 253
_HEAD = ("apiVersion", "kind", "metadata")
_MAPPING = msgspec.json.Decoder(dict[str, Any])
_FAULTS = FaultsOnce(log)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of one object: `value` is None if it is not held.

    `ignored` is true for a kind that Towpath has no use for, which is no Problem; `pod` is then
    one that the object would have a cluster make. `version` is the API server's resourceVersion,
    if it was read there.
    """

    ref: ObjectRef
    value: Object | None = None
    problems: tuple[Problem, ...] = ()
    ignored: bool = False
    version: str = ""
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """How a kind is read; *closed* is what stands for one that could not be, if less than nothing
    has to.
    """

    api_versions: tuple[str, ...]
    name_rule: NameRule
    read: Callable[[Raw, Findings], Object | None]
    seen_in: Callable[[bytes | msgspec.Raw], _Seen] | None = None
    namespaced: bool = True
    closed: Callable[[Raw, Findings], Object | None] | None = None


class _Seen(NamedTuple):
    """A struct's metadata, and how to make a value of the struct."""

    metadata: structs.Metadata | None
    convert: Callable[[Findings], Object | None]


def _core(
    api_version: str,
    name_rule: NameRule,
    struct: type[S],
    convert: Callable[[S, Findings], Object | None],
    *,
    namespaced: bool = True,
) -> _Row:
    """A kind of Kubernetes' own: read from a mapping, or straight from JSON without one."""
    decoder = msgspec.json.Decoder(struct)

    def read(raw: Raw, findings: Findings) -> Object | None:
        if findings.source:
            # An API server keeps no field that it does not know.
            report_slips(raw, struct, findings)
        seen = structs.read_struct(raw, struct, findings)
        return None if seen is None else convert(seen, findings)

    def seen_in(data: bytes | msgspec.Raw) -> _Seen:
        seen = read_json(data, decoder)
        return _Seen(seen.metadata, lambda findings: convert(seen, findings))

    return _Row((api_version,), name_rule, read, seen_in, namespaced)


_TABLE: Mapping[str, _Row] = {
    Kind.NAMESPACE: _core(
        "v1", NameRule.LABEL, structs.Namespace, core.namespace, namespaced=False
    ),
    Kind.SERVICE: _core("v1", NameRule.LABEL, structs.Service, services.service),
    Kind.ENDPOINT_SLICE: _core(
        "discovery.k8s.io/v1", NameRule.SUBDOMAIN, structs.EndpointSlice, services.endpoint_slice
    ),
    Kind.POD: _core("v1", NameRule.SUBDOMAIN, structs.Pod, core.pod),
    Kind.SERVICE_ACCOUNT: _core("v1", NameRule.SUBDOMAIN, structs.Plain, core.service_account),
    Kind.MESH_CONFIG: _Row(
        ("config.openservicemesh.io/v1alpha2",),
        NameRule.SUBDOMAIN,
        mesh_config,
        closed=closed_mesh_config,
    ),
    Kind.EGRESS: _Row(
        ("policy.openservicemesh.io/v1alpha1",), NameRule.SUBDOMAIN, egress, closed=closed_egress
    ),
    Kind.HTTP_ROUTE_GROUP: _Row(("specs.smi-spec.io/v1alpha4",), NameRule.SUBDOMAIN, route_group),
    Kind.UPSTREAM_TRAFFIC_SETTING: _Row(
        ("policy.openservicemesh.io/v1alpha1",),
        NameRule.SUBDOMAIN,
        upstream_traffic_setting,
        closed=closed_setting,
    ),
    Kind.TRAFFIC_TARGET: _Row(("access.smi-spec.io/v1alpha3",), NameRule.SUBDOMAIN, traffic_target),
    Kind.TRAFFIC_SPLIT: _Row(
        ("split.smi-spec.io/v1alpha4", "split.smi-spec.io/v1alpha2"),
        NameRule.SUBDOMAIN,
        traffic_split,
    ),
    Kind.TCP_ROUTE: _Row(("specs.smi-spec.io/v1alpha4",), NameRule.SUBDOMAIN, tcp_route),
    Kind.INGRESS_BACKEND: _Row(
        ("policy.openservicemesh.io/v1alpha1",), NameRule.SUBDOMAIN, ingress_backend
    ),
    Kind.RETRY: _Row(("policy.openservicemesh.io/v1alpha1",), NameRule.SUBDOMAIN, retry),
}

_MESH_GROUPS = frozenset(
    {
        "config.openservicemesh.io",
        "policy.openservicemesh.io",
        "specs.smi-spec.io",
        "access.smi-spec.io",
        "split.smi-spec.io",
        # Those of FSM, the successor of osm-edge: an Isolation would have refused something.
        "config.flomesh.io",
        "plugin.flomesh.io",
        "policy.flomesh.io",
    }
)


def decode(raw: object, source: str) -> Decoded:
    """Decode one object that was read at *source* (`mesh.yaml:12`, or "" for an API server).

    Where that fails by a fault of ours, the object has a Problem, and all others are read.
    """
    try:
        return _decode(raw, source)
    except MemoryError:  # which says nothing of the object
        raise
    except Exception as error:  # noqa: BLE001 - none may keep the other objects from being read
        return _undecoded(raw, source, error)


def _decode(raw: object, source: str) -> Decoded:
    if not isinstance(raw, dict) or raw.keys().isdisjoint(_HEAD):
        return _no_object(raw, source)
    kind, version, row = raw.get("kind"), raw.get("apiVersion"), _row(raw)
    findings = Findings(_ref(raw, row), source)
    if (slip := _misspelt_head(raw)) is not None:
        findings.add(Code.UNKNOWN_FIELD, *slip)
    elif not isinstance(kind, str) or not kind:
        findings.unused("kind", kind, allowed="the name of a kind, such as Pod")
    elif not isinstance(version, str) or not version:
        allowed = _either(row.api_versions) if row else "a group and version, such as v1"
        findings.unused("apiVersion", version, allowed=allowed)
    elif row is None and (near := _nearest_kind(kind, version)) is not None:
        message = f"is {show(kind)}; did you mean {near}? The object has no effect"
        findings.add(Code.UNKNOWN_KIND, "kind", message)
    elif row is None:
        if version.partition("/")[0] not in _MESH_GROUPS:
            return Decoded(findings.ref, ignored=True, pod=_pod_of(raw, source))
        message = f"{show(kind)} of {show(version)} is not supported: the object has no effect"
        findings.add(Code.UNSUPPORTED_KIND, "kind", message)
    elif version not in row.api_versions:
        findings.unused("apiVersion", version, allowed=_either(row.api_versions))
    elif _well_named(raw, row, findings):
        return Decoded(findings.ref, row.read(raw, findings), findings.problems)
    return Decoded(findings.ref, problems=findings.problems)


def _undecoded(raw: object, source: str, error: Exception) -> Decoded:
    """What stands for an object at which our own code failed: nothing, or what is closed."""
    head: Raw = raw if isinstance(raw, dict) else {}
    row = _row(head)
    ref = _ref(head, row)
    findings = Findings(ref, source)
    place = f" ({source})" if source else ""
    _FAULTS.tell(error, f"{ref}{place} cannot be read, by a fault of Towpath's own")
    value = None if row is None else _closed(row, head, findings)
    what = f"cannot be read, by a fault of Towpath's own ({type(error).__name__}, see the log)"
    effect = "is not used" if value is None else "allows nothing, and nothing that it may limit"
    findings.add(Code.UNDECODED_OBJECT, "", f"{what}; the {ref.kind} {effect}")
    return Decoded(ref, value, findings.problems)


def _closed(row: _Row, raw: Raw, findings: Findings) -> Object | None:
    """The closed value of an object, unless that fails as well, or it has no name."""
    if row.closed is None:
        return None
    try:
        named = _well_named(raw, row, Findings(findings.ref, findings.source))
        return row.closed(raw, findings) if named else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - most likely the fault that is told already
        return None


def _pod_of(raw: Raw, source: str) -> Pod | None:
    """A pod that a workload makes; None for any other object, and for one that makes none."""
    pod = first_pod(raw)
    return None if pod is None else cast("Pod | None", decode(pod, source).value)


def _no_object(raw: object, source: str) -> Decoded:
    """What has nothing that each object has: most likely a file for somebody else."""
    findings = Findings(ObjectRef("Object", "", UNNAMED), source)
    if not isinstance(raw, dict):
        findings.unused("", raw, allowed="a mapping with apiVersion, kind and metadata")
    elif (slip := _misspelt_head(raw)) is not None:
        findings.add(Code.UNKNOWN_FIELD, *slip)
    else:
        message = "has no apiVersion, kind or metadata, and is not a Kubernetes object: not used"
        findings.add(Code.FOREIGN_DOCUMENT, "", message)
    return Decoded(findings.ref, problems=findings.problems)


def decode_json(kind: Kind, data: bytes | msgspec.Raw) -> Decoded:
    """Decode one object of a known kind as an API server sends it, in a list or in a watch.

    Gives what `decode` gives, sooner. Raises msgspec.DecodeError if it is no JSON object.
    """
    row = _TABLE[kind]
    if row.seen_in is not None:
        with contextlib.suppress(msgspec.ValidationError):
            quick = _decode_seen(kind, row, row.seen_in(data))
            if quick is not None:
                return quick
    raw = read_json(data, _MAPPING)
    # Items of a list do not say what they are.
    decoded_object = decode({**raw, "apiVersion": row.api_versions[0], "kind": kind.value}, "")
    metadata = raw.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return replace(decoded_object, version=_text(version))


def _decode_seen(kind: Kind, row: _Row, seen: _Seen) -> Decoded | None:
    """The object if its names are as they should be; else None: `decode` says what is wrong."""
    metadata = seen.metadata
    if metadata is None or not row.name_rule.holds(metadata.name):
        return None
    namespace = (metadata.namespace or "default") if row.namespaced else ""
    if namespace and not NameRule.LABEL.holds(namespace):
        return None
    findings = Findings(ObjectRef(kind.value, namespace, str(metadata.name)), "")
    try:
        value = seen.convert(findings)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - `decode` meets it again
        return None
    return Decoded(findings.ref, value, findings.problems, version=_text(metadata.resource_version))


def expand(raw: object) -> Iterator[object]:
    """The objects in *raw*: the items of a list (`kind: List`, `kind: PodList`), or itself.

    A list without items, or with null for them, is empty: so a server writes it.
    """
    waiting = [raw]
    while waiting:
        one = waiting.pop()
        kind = one.get("kind") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(kind, str) or not kind.endswith("List"):
            yield one
            continue
        items = one.get("items")
        if items is None:
            if kind != "List" and "items" not in one:
                yield one
        elif not isinstance(items, list):
            yield one
        elif kind == "List":
            waiting += reversed(items)
        else:
            # What an API server answers: only the list says what its items are.
            head = {"apiVersion": one.get("apiVersion"), "kind": kind.removesuffix("List")}
            yield from ({**head, **item} if isinstance(item, dict) else item for item in items)


def _row(raw: Raw) -> _Row | None:
    kind, version = raw.get("kind"), raw.get("apiVersion")
    row = _TABLE.get(kind) if isinstance(kind, str) else None
    if row is None or not isinstance(version, str):
        return row
    # Another group may have a kind of the same name: Knative's Service is none of ours.
    group, slash, _ = version.partition("/")
    foreign = "v1" in row.api_versions and slash and "." in group
    return None if foreign else row


def _misspelt_head(raw: Raw) -> tuple[str, str] | None:
    """The field and message of what stands in the place of one that each object has."""
    for name in raw:
        near = meant(name, _HEAD) if isinstance(name, str) else None
        if near is not None and near not in raw:
            return name, f"is not a known field (did you mean {near}?); the object has no effect"
    return None


def _nearest_kind(kind: str, version: str) -> str | None:
    """The kind that was meant by one that is not known; None if it may well be another's."""
    group = _group(version)
    ours = [k for k, row in _TABLE.items() if _alike(group, _group(row.api_versions[0]))]
    return meant(kind, ours)


def _alike(group: str, ours: str) -> bool:
    return group == ours or meant(group, (ours,)) is not None


def _group(version: str) -> str:
    return version.rpartition("/")[0]


def _ref(raw: Raw, row: _Row | None) -> ObjectRef:
    """What to call the object, however wrong it is."""
    kind, given = raw.get("kind"), raw.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    name, namespace = _text(metadata.get("name")), _text(metadata.get("namespace"))
    if row is not None:
        namespace = (namespace or "default") if row.namespaced else ""
    return ObjectRef(
        _text(kind) if isinstance(kind, str) and kind else "Object", namespace, name or UNNAMED
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return value[:_LONGEST_NAME] if isinstance(value, str) else show(value)


def _well_named(raw: Raw, row: _Row, findings: Findings) -> bool:
    given = raw.get("metadata")
    if given is not None and not isinstance(given, dict):
        findings.unused("metadata", given, allowed="a mapping")
        return False
    metadata = given or {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not row.name_rule.holds(name):
        findings.unused("metadata.name", name, allowed=row.name_rule.words)
        return False
    if row.namespaced and namespace not in (None, "") and not NameRule.LABEL.holds(namespace):
        findings.unused("metadata.namespace", namespace, allowed=NameRule.LABEL.words)
        return False
    return True


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)
