"""What a summary leaves out is the same in all that is encoded: what reads alike is alike."""

from __future__ import annotations

import re
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from support.egress_rules import rules
from towpath.encode.envoy import (
    called_as,
    egress_clusters,
    egress_routes,
    inbound_clusters,
    inbound_listener,
    inbound_routes,
    mtls_cluster,
    outbound_clusters,
    outbound_listener,
    outbound_routes,
)
from towpath.model.egress import ConnectionSettings
from towpath.model.egress_plan import EgressTargets
from towpath.model.identity import TlsParameters
from towpath.model.names import Account, Protocol
from towpath.model.plan import (
    Destination,
    Destinations,
    Inbound,
    InboundPort,
    Outbound,
    Request,
    ServerMtls,
)
from towpath.model.snapshot import Layer
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule
from towpath.summary import summarize

VERSION = re.compile(r"  \[[0-9a-f]{20}\]$", re.MULTILINE)


class Readings:
    """What each resource of all examples reads like; a text is of one content only."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}

    def add(self, *layers: Layer) -> None:
        for resource in (resource for layer in layers for resource in layer.values()):
            text = VERSION.sub("", summarize([resource]))
            assert self.versions.setdefault(text, resource.version) == resource.version, text


READINGS = Readings()
SETTINGS = (
    ConnectionSettings(),
    *(
        replace(ConnectionSettings(), **{field.name: value})
        for field in fields(ConnectionSettings)
        for value in (0, 1)
    ),
)
"""Each differs from the first in one limit, so that a limit that is not shown is found at once."""
protocols = st.sampled_from(Protocol)
destinations = st.builds(
    Destination,
    st.just("shop"),
    st.sampled_from(("web", "db")),
    st.sampled_from((80, 443)),
    protocols,
    st.sampled_from((("10.0.0.1",), ("10.0.0.1", "10.0.0.2"))),
    direct=st.booleans(),
)
PROBE = (Request("GET", "/a"),)
ports = st.builds(
    InboundPort,
    st.sampled_from((80, 443)),
    protocols,
    st.just(("shop/web",)),
    st.sampled_from((None, (), PROBE)),
)


accounts = st.sampled_from((Account("shop", "web"), Account("shop", "db")))
probed = st.builds(
    InboundPort, st.just(80), st.just(Protocol.HTTP), st.just(("shop/web",)), st.just(PROBE)
)
parameters = st.builds(
    TlsParameters,
    st.sampled_from(("TLSv1_2", "TLSv1_3")),
    st.just("TLSv1_3"),
    st.sampled_from(((), ("ECDHE-ECDSA-AES128-GCM-SHA256",))),
    st.sampled_from(((), ("X25519",), ("X25519", "P-256"))),
)
servers = st.builds(
    ServerMtls, accounts, st.booleans(), st.tuples(probed) | st.just(()), parameters
)


@given(
    some=st.lists(rules(), max_size=4),
    setting=st.sampled_from(SETTINGS),
    passthrough=st.booleans(),
    searched=st.booleans(),
)
def test_policies_that_read_alike_are_alike(
    some: list[Rule], setting: ConnectionSettings, *, passthrough: bool, searched: bool
) -> None:
    opened = egress_plan(tuple(some), passthrough=passthrough)
    limited = (replace(one, settings=setting, searched=searched) for one in opened.targets)
    plan = Outbound(Destinations(), passthrough, opened)

    READINGS.add(
        outbound_listener(plan),
        egress_routes(opened),
        egress_clusters(opened),
        egress_clusters(replace(opened, targets=EgressTargets(tuple(limited)))),
    )


@given(
    st.lists(destinations, max_size=2, unique_by=lambda one: one.name),
    ports,
    accounts,
    st.none() | servers,
    parameters,
)
def test_in_mesh_traffic_that_reads_alike_is_alike(
    some: list[Destination],
    port: InboundPort,
    account: Account,
    mtls: ServerMtls | None,
    offered: TlsParameters,
) -> None:
    to, let_in = Destinations(tuple(some)), Inbound((port,), mtls)

    READINGS.add(
        outbound_listener(Outbound(to, passthrough=False)),
        outbound_clusters(to),
        called_as(account, Layer(tuple(mtls_cluster(one, offered) for one in to))),
        outbound_routes(to),
        inbound_listener(let_in),
        inbound_clusters(let_in),
        inbound_routes(let_in),
    )
