"""Requests that are many times as large as objects: what reading them takes, and what real ones
are.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest

from bench.hostile.row import Row
from support.fake_time import Clock
from support.resources import snapshot
from support.xds_peer import delta_session, sotw_session
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SHORT_NAMES
from towpath.settings import StreamLimits
from towpath.xds.absence import MOST_TOLD
from towpath.xds.limits import LimitExceeded
from towpath.xds.messages import DeltaRequest, Node, Reply, Request, SotwRequest
from towpath.xds.parse import parse_delta, parse_sotw

VERSIONS, NAMES, CLUSTERS = 2_300_000, 4_000_000, 5_000
ASKING = (("gRPC", LISTENER), ("gRPC", ENDPOINTS), ("envoy", ENDPOINTS))
PARSE_LIMIT = "fields are counted on the bytes (--max-names), --max-message-mib"


def measure() -> list[Row]:
    entry = b"\x2a\x0a\x0a\x05%s\x12\x01v"
    versions = b"".join(entry % f"{n % 100_000:05}".encode() for n in range(VERSIONS))
    names = b"".join(b"\x1a\x05%s" % f"{n % 100_000:05}".encode() for n in range(NAMES))
    return [
        Row(f"{VERSIONS:,} versions", _refused(parse_delta, versions), PARSE_LIMIT),
        Row(f"{NAMES:,} names", _refused(parse_sotw, names), PARSE_LIMIT),
        Row("fields that nobody knows", _refused(parse_delta, b"\x78\x01" * NAMES), PARSE_LIMIT),
        _all_that_is_allowed(),
        *(_absent(variant, *asked) for variant in ("sotw", "delta") for asked in ASKING),
        *_real_ones(),
    ]


def _refused(parse: Callable[[bytes, StreamLimits], Any], data: bytes) -> str:
    began = time.process_time()
    limit = _limit(parse, data)
    seconds = time.process_time() - began
    tracemalloc.start()
    try:
        _limit(parse, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = f"{len(data) / 2**20:.0f} MiB"
    return f"{size}: {seconds * 1000:.0f} ms, {peak / 2**20:.1f} MiB, then {limit}"


def _limit(parse: Callable[[bytes, StreamLimits], Any], data: bytes) -> str:
    try:
        parse(data, StreamLimits())
    except LimitExceeded as error:
        return error.limit
    return "nothing"


def _all_that_is_allowed() -> Row:
    held = {f"{n:06}-{'x' * 90}": "0" * 20 for n in range(60_000)}
    data = DeltaDiscoveryRequest(type_url=CLUSTER, initial_resource_versions=held)
    data.node.id = "curl.shop"
    return Row(
        "60,000 versions of what is not there, which is all",
        _handled(data.SerializeToString()),
        "three times --max-names; read in a thread; --max-request-rate counts names",
    )


def _absent(variant: str, user_agent: str, type_url: str) -> Row:
    """A client asks for names that are not there, and answers each response at once."""
    names = [f"{n:06}-{'x' * 60}" for n in range(StreamLimits().max_names)]
    node = Node("curl.shop", user_agent)
    session = sotw_session() if variant == "sotw" else delta_session()
    session.on_snapshot(snapshot({type_url: {f"{n:06}": "1" for n in range(CLUSTERS)}}))
    steps: list[float] = []
    replies = [Reply(type_url, "", "", (), b"")]
    while replies:
        nonce, version = replies[0].nonce, replies[0].version
        request: Request = DeltaRequest(
            type_url, node=node, nonce=nonce, subscribe=frozenset(() if nonce else names)
        )
        if variant == "sotw":
            request = SotwRequest(
                type_url, node=node, version=version, nonce=nonce, names=frozenset(names)
            )
        began = time.process_time()
        events = session.on_request(request)
        steps.append(time.process_time() - began)
        replies = [event for event in events if isinstance(event, Reply)]
    return Row(
        f"{len(names):,} {SHORT_NAMES[type_url]} names that are not there, {user_agent}, {variant}",
        f"{sum(steps):.2f} s in {len(steps)} steps, the longest {max(steps) * 1000:.0f} ms",
        f"{MOST_TOLD:,} in a response; --max-names, --max-request-rate counts names",
    )


def _handled(data: bytes) -> str:
    began = time.process_time()
    request = parse_delta(data, StreamLimits())
    read = time.process_time() - began
    clock = Clock()
    session = delta_session(clock=clock)
    session.on_snapshot(snapshot({CLUSTER: {"a": "1"}}))
    steps = [_seconds(lambda: session.on_request(request))]
    while session.deadline is not None:
        clock.now = max(clock.now, session.deadline)
        steps.append(_seconds(session.on_time))
    return (
        f"{len(data) / 2**20:.1f} MiB: {read:.2f} s to read, {sum(steps):.2f} s to answer in "
        f"{len(steps)} steps, the longest {max(steps) * 1000:.0f} ms"
    )


def _seconds(step: Callable[[], object]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


def _real_ones() -> list[Row]:
    names = [f"namespace-{n % 50}/service-name-{n}|8080" for n in range(CLUSTERS)]
    versions = {name: f"{n:020x}" for n, name in enumerate(names)}
    delta = DeltaDiscoveryRequest(
        type_url=CLUSTER, resource_names_subscribe=names, initial_resource_versions=versions
    )
    sotw = DiscoveryRequest(type_url=CLUSTER, resource_names=names, version_info="0" * 20)
    sizes = f"{delta.ByteSize() >> 10} KiB, and {sotw.ByteSize() >> 10} KiB in the other variant"
    return [
        Row(
            f"(an Envoy that comes back with {CLUSTERS:,} endpoints)",
            sizes,
            "nothing: it is let in",
        )
    ]
