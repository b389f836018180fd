"""Egress manifests of the data-plane tests, and the wait for what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.dataplane.clients import Curl, curl_until
from support.dataplane.rig import Rig

Document = dict[str, Any]
Port = tuple[int, str]

_SPECS = "specs.smi-spec.io/v1alpha4"
_POLICY = "policy.openservicemesh.io/v1alpha1"
CUT = (35, 52, 56)
"""Exit codes of curl for a connection that came about and was then closed."""
REFUSED = 7


def egress(
    name: str,
    *ports: Port,
    hosts: Sequence[str] = (),
    ranges: Sequence[str] = (),
    groups: Sequence[str] = (),
    settings: Sequence[str] = (),
    account: str = "curl",
    namespace: str = "curl",
) -> Document:
    """An Egress of curl's service account, as a person would write it."""
    references = [("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", group) for group in groups]
    references += [(_POLICY, "UpstreamTrafficSetting", name) for name in settings]
    spec: Document = {
        "sources": [{"kind": "ServiceAccount", "name": account, "namespace": "curl"}],
        "ports": [{"number": number, "protocol": protocol} for number, protocol in ports],
        "hosts": list(hosts),
        "ipAddresses": list(ranges),
        "matches": [{"apiGroup": group, "kind": kind, "name": n} for group, kind, n in references],
    }
    return {
        "apiVersion": _POLICY,
        "kind": "Egress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in spec.items() if value},
    }


def route_group(name: str, *paths: str) -> Document:
    matches = [{"name": f"m{n}", "pathRegex": path} for n, path in enumerate(paths)]
    return {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": name, "namespace": "curl"},
        "spec": {"matches": matches},
    }


def in_mesh(name: str, *, namespace: str = "curl", source: str = "curl") -> list[Document]:
    """One object of each kind about what is called in the mesh, of that name: a target that grants
    GET of everything to a source beside it, a route of port 8080, a split of the Service `web`, a
    Retry of what the source calls there, and who may call it from outside.
    """
    account = {"kind": "ServiceAccount", "namespace": namespace}
    target = {
        "destination": {**account, "name": "web"},
        "sources": [{**account, "name": source}],
        "rules": [{"kind": "HTTPRouteGroup", "name": name}, {"kind": "TCPRoute", "name": name}],
    }
    backends = [{"service": "web", "weight": 1}]
    again = {
        "source": {**account, "name": source},
        "destinations": [{"kind": "Service", "name": "web", "namespace": namespace}],
        "retryPolicy": {"retryOn": "5xx", "numRetries": 2},
    }
    outside = {
        "backends": [{"name": "web", "port": {"number": 8080, "protocol": "http"}}],
        "sources": [{"kind": "IPRange", "name": "192.0.2.0/24"}],
    }
    specs: list[tuple[str, str, Document]] = [
        ("access.smi-spec.io/v1alpha3", "TrafficTarget", target),
        (_SPECS, "HTTPRouteGroup", {"matches": [{"name": "get", "methods": ["GET"]}]}),
        (_SPECS, "TCPRoute", {"matches": {"ports": [8080]}}),
        ("split.smi-spec.io/v1alpha4", "TrafficSplit", {"service": "web", "backends": backends}),
        (_POLICY, "Retry", again),
        (_POLICY, "IngressBackend", outside),
    ]
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        for version, kind, spec in specs
    ]


def until_curl(
    rig: Rig, url: str, *options: str, exits: int | Sequence[int] = 0, status: int = 0
) -> Curl:
    """`curl_until` from the rig's client."""
    context = rig.sidecar.process.tail
    return curl_until(rig.client, url, *options, exits=exits, status=status, context=context)
