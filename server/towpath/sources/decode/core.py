"""Namespace, ServiceAccount and Pod: from what Kubernetes says to model values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

from towpath.model import workloads
from towpath.model.codes import Code
from towpath.model.identity import MtlsMode
from towpath.model.observation import EgressObservation
from towpath.sources.decode import structs
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.modes import seems_strict
from towpath.sources.decode.names import PORTS, NameRule, is_dialable, is_port
from towpath.sources.decode.probes import probes
from towpath.sources.decode.schema import NOT_USED, shortened
from towpath.sources.decode.slips import meant

E = TypeVar("E", bound=StrEnum)

MONITORED_BY = "openservicemesh.io/monitored-by"
MONITORED_BY_FSM = "flomesh.io/monitored-by"
MTLS = "openservicemesh.io/mtls"
OBSERVE_EGRESS = "openservicemesh.io/observe-egress"
IGNORED = "openservicemesh.io/ignore"
_OF_THE_MESH = "openservicemesh.io/"

ENDED = ("Succeeded", "Failed")
"""The phases of a pod whose containers have all ended, for good: it has no sidecar any more."""


def namespace(seen: structs.Namespace, findings: Findings) -> workloads.Namespace:
    labels = (seen.metadata.labels if seen.metadata else None) or {}
    mesh = labels.get(MONITORED_BY)
    if mesh is None and MONITORED_BY_FSM in labels:
        message = f"is the label of FSM: Towpath serves namespaces with the label {MONITORED_BY}"
        findings.add(Code.UNSUPPORTED_LABEL, f"metadata.labels[{MONITORED_BY_FSM}]", message)
    annotations = (seen.metadata.annotations if seen.metadata else None) or {}
    slip = next((name for name in annotations if meant(name, (MTLS,))), None)
    mtls = _mtls(annotations, findings)
    if slip is not None and _slip_is_strict(slip, annotations[slip], findings):
        mtls = MtlsMode.STRICT
    # Whoever meant to be left alone is not observed because of a slip.
    nobody = (EgressObservation.DISABLED, "nobody observes it")
    observe_egress = _choice(annotations, OBSERVE_EGRESS, EgressObservation, findings, nobody)
    ours = {
        name: text
        for name, text in annotations.items()
        if name.startswith(_OF_THE_MESH) and name not in (MTLS, OBSERVE_EGRESS)
    }
    return workloads.Namespace(
        findings.ref.name,
        mesh,
        mtls,
        annotations=pairs(ours),
        ignored=IGNORED in labels,
        observe_egress=observe_egress,
        mtls_unclear=mtls is None and (MTLS in annotations or slip is not None),
    )


def _mtls(annotations: Mapping[str, str], findings: Findings) -> MtlsMode | None:
    """What a namespace says of mutual TLS. A slip must not weaken what was meant: what looks like
    `strict` is strict. None for anything else that cannot be understood.
    """
    if seems_strict(annotations.get(MTLS)):
        unclear = MtlsMode.STRICT, "strict holds here, as that seems to be meant"
        return _choice(annotations, MTLS, MtlsMode, findings, unclear)
    text = "what the MeshConfig says holds here too, or permissive if that is stricter"
    return _choice(annotations, MTLS, MtlsMode, findings, (None, text))


def _slip_is_strict(name: str, text: str, findings: Findings) -> bool:
    """True if an annotation whose name is misspelt may ask for strict mode."""
    strict = seems_strict(text)
    effect = "strict holds here, as that seems to be meant" if strict else NOT_USED
    allowed = ", ".join(map(show, MtlsMode))
    message = f"may be meant for {MTLS}; allowed there: {allowed}; {effect}"
    findings.add(Code.UNKNOWN_FIELD, f"metadata.annotations[{shortened(name)}]", message)
    return strict


def _choice(
    annotations: Mapping[str, str],
    name: str,
    choices: type[E],
    findings: Findings,
    unclear: tuple[E | None, str],
) -> E | None:
    """What a namespace says of itself; None if it says nothing. *unclear* is what holds if it says
    what cannot be understood, also in words.
    """
    text = annotations.get(name)
    if text is None or text in set(choices):
        return None if text is None else choices(text)
    value, effect = unclear
    allowed = ", ".join(map(show, choices))
    findings.invalid(f"metadata.annotations[{name}]", text, allowed=allowed, effect=effect)
    return value


def service_account(_seen: structs.Plain, findings: Findings) -> workloads.ServiceAccount:
    return workloads.ServiceAccount(namespace=findings.ref.namespace, name=findings.ref.name)


def pod(seen: structs.Pod, findings: Findings) -> workloads.Pod | None:
    """The pod, without container ports that have no name or are not TCP; None if it has ended."""
    status = seen.status or structs.PodStatus()
    if status.phase in ENDED:
        return None
    spec = seen.spec or structs.PodSpec()
    account = spec.service_account_name or "default"
    if not NameRule.SUBDOMAIN.holds(account):
        findings.unused("spec.serviceAccountName", account, allowed=NameRule.SUBDOMAIN.words)
        return None
    ports = _named_ports(spec, findings)
    return workloads.Pod(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        service_account=account,
        labels=pairs(seen.metadata.labels if seen.metadata else None),
        ports=tuple(sorted(ports.items())),
        addresses=_addresses(status),
        probes=probes((container for _, container in _long_running(spec)), ports),
        uid=_uid(seen),
        host_network=spec.host_network is True,
    )


def _uid(seen: structs.Core) -> str:
    uid = seen.metadata.uid if seen.metadata else None
    return uid if isinstance(uid, str) else ""


def pairs(labels: Mapping[str, str] | None) -> workloads.Labels:
    """Labels as the model holds them: sorted pairs."""
    return tuple(sorted((labels or {}).items()))


def _addresses(status: structs.PodStatus) -> tuple[str, ...]:
    """The pod's own IPv4 addresses; one that has none yet can be at no address."""
    given = (status.pod_ip, *(address.ip for address in status.pod_ips or ()))
    return tuple(sorted({ip for ip in given if ip and is_dialable(ip)}))


def _named_ports(spec: structs.PodSpec, findings: Findings) -> dict[str, int]:
    ports: dict[str, int] = {}
    for where, container in _long_running(spec):
        for index, port in enumerate(container.ports or ()):
            if not port.name or (port.protocol or "TCP") != "TCP":
                continue
            if port.container_port is None or not is_port(port.container_port):
                field = f"{where}.ports[{index}].containerPort"
                findings.invalid(
                    field, port.container_port, allowed=PORTS, effect="the port is left out"
                )
            else:
                # Kubernetes too resolves a name that two containers use to the first of them.
                ports.setdefault(port.name, port.container_port)
    return ports


def _long_running(spec: structs.PodSpec) -> Iterator[tuple[str, structs.Container]]:
    for index, container in enumerate(spec.containers or ()):
        yield f"spec.containers[{index}]", container
    for index, container in enumerate(spec.init_containers or ()):
        if container.restart_policy == "Always":
            yield f"spec.initContainers[{index}]", container
