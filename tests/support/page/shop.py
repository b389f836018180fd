"""A mesh of a few teams: policies that work and one that does not, sidecars that are well and one
that rejects, and reports of what leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import yaml
from envoy.data.accesslog.v3.accesslog_pb2 import TCPAccessLogEntry
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage

from support.control_plane import ControlPlane, control_plane
from support.xds.client import SotwClient, sotw
from support.xds.types import CLUSTER, LISTENER
from towpath.reports import REPORTS_SERVICE
from towpath.rollout.records import Outcome
from towpath.settings import StreamLimits

SERVICES = {
    "shop": ("frontend", "catalog", "checkout", "cart"),
    "payments": ("gateway", "ledger"),
    "search": ("query", "indexer"),
}
"""In each namespace: services, each with a service account of that name."""

ADDRESSES = {
    f"{namespace}/{name}": f"10.10.0.{number}"
    for number, (namespace, name) in enumerate(
        ((namespace, name) for namespace, names in SERVICES.items() for name in names), start=2
    )
}
"""Of the pod of each account."""

CALLS = (
    ("shop/frontend", "shop/catalog"),
    ("shop/frontend", "shop/checkout"),
    ("shop/frontend", "shop/cart"),
    ("shop/frontend", "search/query"),
    ("shop/checkout", "shop/cart"),
    ("shop/checkout", "payments/gateway"),
    ("payments/gateway", "payments/ledger"),
    ("search/indexer", "shop/catalog"),
)
OPENED = (
    ("shop/checkout", "mail", ("smtp.post.example",), 587, "tcp"),
    ("payments/gateway", "banks", ("api.bank.example", "api.cards.example"), 443, "https"),
    ("search/indexer", "feeds", ("*.feeds.example",), 443, "https"),
    ("search/query", "models", ("api.models.example",), 443, "https"),
    ("payments/ledger", "archive", ("archive.example",), 443, "https"),
    ("shop/catalog", "images", ("cdn.images.example",), 443, "https"),
)
Seen = tuple[str, str, int, int, str]
"""Whose connections, where to, how many, and what the sidecar did with them."""

SEEN: tuple[Seen, ...] = (
    ("shop/catalog", "cdn.images.example", 443, 1840, "let out"),
    ("payments/gateway", "api.bank.example", 443, 412, "let out"),
    ("payments/gateway", "api.cards.example", 443, 97, "let out"),
    ("payments/gateway", "fraud.score.example", 443, 61, "passthrough"),
    ("search/indexer", "news.feeds.example", 443, 233, "let out"),
    ("shop/frontend", "fonts.web.example", 443, 58, "passthrough"),
    ("shop/cart", "metrics.vendor.example", 443, 2104, "passthrough"),
    ("search/query", "telemetry.example", 443, 12, "refused"),
)
MOST_ENTRIES = 400
"""Of one message, which a server takes up to a size."""

REJECTING, WAITING = "cart-0.shop", "late-0.search"
COMPLAINT = "Error adding/updating listener(s) outbound-listener: no such cluster: shop/cart|80"


@contextlib.asynccontextmanager
async def shop(tmp_path: Path, **options: Any) -> AsyncIterator[ControlPlane]:
    """Serve the mesh; nobody is connected yet."""
    # A busy machine takes its time until the sidecar without a pod is looked at, and to read what
    # is reported: here nothing is shed.
    limits = StreamLimits(unknown_pod_wait=3_600, report_share=1.0)
    async with control_plane(tmp_path, edit=write_shop, limits=limits, **options) as plane:
        yield plane


@contextlib.asynccontextmanager
async def connected(plane: ControlPlane) -> AsyncIterator[None]:
    """Its sidecars, of which one rejects a listener and one has no pod, and what they report."""
    # Others that are to hold the same as the one that rejects it would wait: here nobody is.
    nodes = [f"{name}-0.{namespace}" for namespace, names in SERVICES.items() for name in names]
    following = [asyncio.create_task(_follow(plane, node)) for node in (*nodes, WAITING)]
    try:
        await _until_answered(plane, len(nodes))
        await report(plane)
        yield
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def _until_answered(plane: ControlPlane, count: int) -> None:
    """Wait until so many sidecars have answered all, one of them by a rejection."""
    async with asyncio.timeout(60):
        while True:
            outcomes = Counter(record.outcome for record in plane.hub.records)
            done = outcomes[Outcome.ACCEPTED] == count - 1 and outcomes[Outcome.REJECTING] == 1
            if done and outcomes[Outcome.POD_UNKNOWN] == 1:
                return
            await asyncio.sleep(0.02)


async def _follow(plane: ControlPlane, node: str) -> None:
    """Accept whatever comes, but for the listeners of one."""
    async with _client(plane, node) as client:
        await client.ask(CLUSTER)
        await client.ask(LISTENER)
        while True:
            response = await client.hear(within=3600)
            if node == REJECTING and response.type_url == LISTENER:
                await client.nack(response, COMPLAINT)
            else:
                await client.ack(response)


def _client(plane: ControlPlane, node: str) -> contextlib.AbstractAsyncContextManager[SotwClient]:
    return sotw(plane.address, node, agent="envoy")


async def report(plane: ControlPlane, *entries: Seen) -> None:
    """Report these connections, or those of SEEN; returns when the server has them."""
    async with plane.channel() as channel:
        for one in entries or SEEN:
            await _send(channel, one)


async def _send(channel: grpc.aio.Channel, seen: Seen) -> None:
    account, host, port, count, outcome = seen
    await _send_entries(channel, account, [_entry(host, port, outcome)] * count)


async def _send_entries(
    channel: grpc.aio.Channel, account: str, entries: list[TCPAccessLogEntry]
) -> None:
    namespace, _, name = account.partition("/")
    messages = []
    for begin in range(0, len(entries), MOST_ENTRIES):
        message = StreamAccessLogsMessage()
        message.identifier.node.id = f"{name}-0.{namespace}"
        message.tcp_logs.log_entry.extend(entries[begin : begin + MOST_ENTRIES])
        messages.append(message.SerializeToString())
    stream: Any = channel.stream_unary(f"/{REPORTS_SERVICE}/StreamAccessLogs")
    calling = stream(iter(messages))
    async with asyncio.timeout(60):
        assert grpc.StatusCode.OK is await calling.code()


async def report_refusal(plane: ControlPlane, caller: str, called: str) -> None:
    """Report that a pod of one account has refused a request of another's."""
    entry = TCPAccessLogEntry()
    common = entry.common_properties
    common.custom_tags.update({"log": "refusal", "method": "GET", "enforced": "denied"})
    common.start_time.FromSeconds(int(time.time()))
    for address, account, port in (
        (common.downstream_direct_remote_address, caller, 40_000),
        (common.downstream_local_address, called, 8080),
    ):
        address.socket_address.address = ADDRESSES[account]
        address.socket_address.port_value = port
    async with plane.channel() as channel:
        await _send_entries(channel, called, [entry])


def _entry(host: str, port: int, outcome: str) -> TCPAccessLogEntry:
    entry = TCPAccessLogEntry()
    common = entry.common_properties
    chain = "" if outcome == "refused" else "outbound-egress-filter-chain"
    common.custom_tags.update({"log": "connection", "chain": chain})
    common.start_time.FromSeconds(int(time.time()))
    common.downstream_local_address.socket_address.address = "192.0.2.7"
    common.downstream_local_address.socket_address.port_value = port
    common.tls_properties.tls_sni_hostname = host
    if outcome == "passthrough":
        common.upstream_cluster = "passthrough-outbound"
    elif outcome == "let out":
        common.upstream_cluster = "egress"
    return entry


def write_shop(folder: Path) -> None:
    """Put the mesh in place of the demo's."""
    for file in folder.glob("*.yaml"):
        file.unlink()
    (folder / "meshconfig.yaml").write_text(MESH_CONFIG)
    (folder / "shop.yaml").write_text(yaml.safe_dump_all(_objects()))


MESH_CONFIG = """\
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec:
  sidecar:
    logLevel: error
  traffic:
    enableEgress: true
    enablePermissiveTrafficPolicyMode: false
  featureFlags:
    enableEgressPolicy: true
  observability:
    observeEgress: reports
"""


def _objects() -> Iterator[dict[str, Any]]:
    yield _object("v1", "Namespace", "", "osm-system")
    number = 0
    for namespace, names in SERVICES.items():
        labels = {"openservicemesh.io/monitored-by": "osm"}
        yield {
            **_object("v1", "Namespace", "", namespace),
            "metadata": {"name": namespace, "labels": labels},
        }
        for name in names:
            number += 1
            yield from _workload(namespace, name, number)
    for number, (caller, called) in enumerate(CALLS):
        yield from _target(caller, called, number)
    for account, name, hosts, port, protocol in OPENED:
        yield _egress(account, name, hosts, port, protocol)
    broken = _egress("shop/frontend", "fonts", ("fonts.web.example",), 80, "http")
    broken["spec"]["matches"] = [
        {"apiGroup": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "name": "fonts"}
    ]
    yield broken


def _object(version: str, kind: str, namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _workload(namespace: str, name: str, number: int) -> Iterator[dict[str, Any]]:
    labels = {"app": name}
    address, ip = ADDRESSES[f"{namespace}/{name}"], f"10.96.0.{number + 1}"
    yield _object("v1", "ServiceAccount", namespace, name)
    service = _object("v1", "Service", namespace, name)
    port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}
    yield {
        **service,
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "selector": labels, "ports": [port]},
    }
    slice_ = _object("discovery.k8s.io/v1", "EndpointSlice", namespace, f"{name}-1")
    slice_["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    yield {
        **slice_,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    pod = _object("v1", "Pod", namespace, f"{name}-0")
    pod["metadata"]["labels"] = labels
    yield {
        **pod,
        "spec": {"serviceAccountName": name, "containers": [{"name": name, "image": name}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }


def _account(account: str) -> dict[str, str]:
    namespace, _, name = account.partition("/")
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _target(caller: str, called: str, number: int) -> Iterator[dict[str, Any]]:
    namespace = called.partition("/")[0]
    name = f"{caller.partition('/')[2]}-calls-{called.partition('/')[2]}"
    group = _object("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", namespace, f"all-{number}")
    yield {**group, "spec": {"matches": [{"name": "all", "pathRegex": ".*", "methods": ["*"]}]}}
    target = _object("access.smi-spec.io/v1alpha3", "TrafficTarget", namespace, name)
    rules = [{"kind": "HTTPRouteGroup", "name": f"all-{number}"}]
    sources = [_account(caller)]
    yield {
        **target,
        "spec": {"destination": _account(called), "sources": sources, "rules": rules},
    }


def _egress(
    account: str, name: str, hosts: tuple[str, ...], port: int, protocol: str
) -> dict[str, Any]:
    policy = _object(
        "policy.openservicemesh.io/v1alpha1", "Egress", account.partition("/")[0], name
    )
    where = {"ipAddresses": ["198.51.100.0/24"]} if protocol == "tcp" else {"hosts": list(hosts)}
    return {
        **policy,
        "spec": {
            "sources": [_account(account)],
            **where,
            "ports": [{"number": port, "protocol": protocol}],
        },
    }
