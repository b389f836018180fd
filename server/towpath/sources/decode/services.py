"""Service and EndpointSlice: from what Kubernetes says to model values."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.model import workloads
from towpath.model.addresses import is_ipv6
from towpath.model.codes import Code
from towpath.model.names import Protocol
from towpath.sources.decode import protocols, structs
from towpath.sources.decode.core import pairs
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.names import ADDRESSES, PORTS, NameRule, is_dialable, is_port

SERVICE_NAME = "kubernetes.io/service-name"

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_TRANSPORTS = ("TCP", "UDP", "SCTP")
_ADDRESS_TYPES = ("IPv4", "IPv6", "FQDN")
_PORT_LEFT_OUT = "the port is left out"
_ADDRESS_LEFT_OUT = "the address is left out"


def service(seen: structs.Service, findings: Findings) -> workloads.Service | None:
    """The service, without parts that are invalid; an ExternalName has no ports."""
    spec = seen.spec or structs.ServiceSpec()
    kind = spec.type or "ClusterIP"
    if kind not in _TYPES:
        findings.unused("spec.type", kind, allowed=_words(_TYPES))
        return None
    if kind == "ExternalName":
        return workloads.Service(
            namespace=findings.ref.namespace,
            name=findings.ref.name,
            cluster_ips=(),
            headless=False,
            ports=(),
            selector=(),
            external_name=spec.external_name or "",
        )
    headless = spec.cluster_ip == "None" or "None" in (spec.cluster_ips or ())
    return workloads.Service(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        cluster_ips=_without_address(spec, findings) if headless else _cluster_ips(spec, findings),
        headless=headless,
        ports=_service_ports(spec.ports or (), findings),
        selector=pairs(spec.selector),
    )


def endpoint_slice(
    seen: structs.EndpointSlice, findings: Findings
) -> workloads.EndpointSlice | None:
    """The IPv4 addresses of one slice that serve; None if it belongs to no service or has none."""
    kind = seen.address_type
    if kind not in _ADDRESS_TYPES:
        findings.unused("addressType", kind, allowed=_words(_ADDRESS_TYPES))
        return None
    if kind == "FQDN":
        # Kubernetes has a slice of IPv6 beside the one of IPv4 for each dual-stack Service.
        text = 'is "FQDN": slices of host names are not supported; its endpoints are not used'
        findings.add(Code.UNSUPPORTED_ADDRESS, "addressType", text)
    if kind != "IPv4":
        return None
    labels = (seen.metadata.labels if seen.metadata else None) or {}
    name = labels.get(SERVICE_NAME)
    if not NameRule.LABEL.holds(name):
        allowed = f"the name of a Service, {NameRule.LABEL.words}"
        findings.unused(f"metadata.labels[{SERVICE_NAME}]", name, allowed=allowed)
        return None
    ready, ending = _addresses(seen.endpoints or (), findings)
    return workloads.EndpointSlice(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        service=str(name),
        addresses=ready,
        ending=ending,
        ports=_endpoint_ports(seen.ports or (), findings),
    )


def _without_address(spec: structs.ServiceSpec, findings: Findings) -> tuple[str, ...]:
    if spec.ip_families == ["IPv6"]:
        _not_ipv6("spec.ipFamilies", findings)
    return ()


def _cluster_ips(spec: structs.ServiceSpec, findings: Findings) -> tuple[str, ...]:
    given = [("spec.clusterIP", spec.cluster_ip)]
    given += [(f"spec.clusterIPs[{i}]", ip) for i, ip in enumerate(spec.cluster_ips or ())]
    fields: dict[str, str] = {}
    for field, ip in given:
        if ip:
            fields.setdefault(ip, field)
    if not fields:
        message = "is not set, so no sidecar can reach the Service by an address of its own"
        findings.add(Code.MISSING_CLUSTER_IP, "spec.clusterIP", message)
    for ip, field in fields.items():
        if not is_dialable(ip) and not is_ipv6(ip):
            findings.invalid(field, ip, allowed=f"{ADDRESSES}, or None", effect=_ADDRESS_LEFT_OUT)
    usable = tuple(ip for ip in fields if is_dialable(ip))
    if not usable and any(map(is_ipv6, fields)):
        _not_ipv6("spec.clusterIPs" if spec.cluster_ips else "spec.clusterIP", findings)
    return usable


def _not_ipv6(field: str, findings: Findings) -> None:
    text = "has IPv6 alone, which sidecars do not handle: no sidecar reaches the Service"
    findings.add(Code.UNSUPPORTED_ADDRESS, field, text)


def _service_ports(
    seen: Sequence[structs.ServicePort], findings: Findings
) -> tuple[workloads.ServicePort, ...]:
    ports: dict[int, workloads.ServicePort] = {}
    names: set[str] = set()
    for index, port in enumerate(seen):
        field = f"spec.ports[{index}]"
        read = _service_port(port, field, findings)
        if read is None:
            continue
        if read.port in ports:
            allowed = "each TCP port number once"
            findings.invalid(f"{field}.port", read.port, allowed=allowed, effect=_PORT_LEFT_OUT)
        elif read.name in names:
            allowed = "a name of its own for each port"
            findings.invalid(f"{field}.name", read.name, allowed=allowed, effect=_PORT_LEFT_OUT)
        else:
            ports[read.port] = read
            names.add(read.name)
    return tuple(ports.values())


def _service_port(
    seen: structs.ServicePort, field: str, findings: Findings
) -> workloads.ServicePort | None:
    if not _is_tcp(seen.protocol, f"{field}.protocol", findings):
        return None
    if seen.port is None or not is_port(seen.port):
        findings.invalid(f"{field}.port", seen.port, allowed=PORTS, effect=_PORT_LEFT_OUT)
        return None
    # Kubernetes too takes 0 and "" for "not set".
    target = seen.target_port or seen.port
    if not (is_port(target) if isinstance(target, int) else NameRule.PORT.holds(target)):
        allowed = f"{PORTS}, or {NameRule.PORT.words}"
        findings.invalid(f"{field}.targetPort", target, allowed=allowed, effect=_PORT_LEFT_OUT)
        return None
    return workloads.ServicePort(
        name=seen.name or "",
        port=seen.port,
        target_port=target,
        protocol=_protocol(seen, f"{field}.appProtocol", findings),
    )


def _protocol(seen: structs.ServicePort, field: str, findings: Findings) -> Protocol:
    if not seen.app_protocol:
        return protocols.port_name(seen.name or "")
    meant = protocols.misspelt(seen.app_protocol)
    if meant is not None:
        text = f"is {show(seen.app_protocol)}, which is taken for plain TCP; did you mean {meant}?"
        findings.add(Code.CORRECTED_VALUE, field, text)
    return protocols.app_protocol(seen.app_protocol)


def _addresses(
    seen: Sequence[structs.Endpoint], findings: Findings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that are ready, and those that only still serve while their pod ends."""
    ready: set[str] = set()
    ending: set[str] = set()
    for index, endpoint in enumerate(seen):
        conditions = endpoint.conditions or structs.Conditions()
        if conditions.ready is not False:
            into = ready
        elif conditions.terminating and conditions.serving is not False:
            into = ending
        else:
            continue
        for at, address in enumerate(endpoint.addresses or ()):
            if is_dialable(address):
                into.add(address)
            else:
                field = f"endpoints[{index}].addresses[{at}]"
                findings.invalid(field, address, allowed=ADDRESSES, effect=_ADDRESS_LEFT_OUT)
    return tuple(sorted(ready)), tuple(sorted(ending - ready))


def _endpoint_ports(
    seen: Sequence[structs.EndpointPort], findings: Findings
) -> tuple[tuple[str, int], ...]:
    ports: dict[str, int] = {}
    for index, port in enumerate(seen):
        field = f"ports[{index}]"
        if port.port is None or not _is_tcp(port.protocol, f"{field}.protocol", findings):
            continue
        if not is_port(port.port):
            findings.invalid(f"{field}.port", port.port, allowed=PORTS, effect=_PORT_LEFT_OUT)
        elif (port.name or "") in ports:
            allowed = "a name of its own for each port"
            findings.invalid(f"{field}.name", port.name, allowed=allowed, effect=_PORT_LEFT_OUT)
        else:
            ports[port.name or ""] = port.port
    return tuple(sorted(ports.items()))


def _is_tcp(protocol: str | None, field: str, findings: Findings) -> bool:
    if protocol and protocol not in _TRANSPORTS:
        findings.invalid(field, protocol, allowed=_words(_TRANSPORTS), effect=_PORT_LEFT_OUT)
    return (protocol or "TCP") == "TCP"


def _words(allowed: Sequence[str]) -> str:
    return ", ".join(map(show, allowed))
