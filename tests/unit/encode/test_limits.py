"""Rate limits in Envoy's form: one bucket for all chains of a port, and none lost meanwhile."""

from __future__ import annotations

from dataclasses import replace

from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as of_http
from envoy.extensions.filters.network.local_ratelimit.v3 import local_rate_limit_pb2 as of_network

from support.decoded import listener, routes, unpacked
from towpath.encode.envoy import inbound_listener, inbound_routes, intersection
from towpath.encode.envoy.limits import CONNECTION_LIMIT, REQUEST_LIMIT
from towpath.model.identity import TLS_DEFAULTS
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.names import Account, Protocol
from towpath.model.plan import Inbound, InboundPort, Permit, ServerMtls
from towpath.model.snapshot import Resource

LIMITED = RateLimits(
    connections=Rate(5, 60),
    requests=RequestLimit(Rate(3, 1, burst=2)),
    routes=(("/a", RequestLimit(Rate(1, 3600), 503)),),
)
PORT = InboundPort(8080, Protocol.HTTP, ("shop/web",))
MTLS = ServerMtls(Account("shop", "web"), parameters=TLS_DEFAULTS)


def test_all_chains_of_a_port_draw_from_one_bucket() -> None:
    permit = Permit("shop/t", ("10.0.0.1", "10.0.0.2"), ("a",))
    port = replace(PORT, protocol=Protocol.TCP, permits=(permit,), limits=LIMITED)
    chains = listener(inbound_listener(Inbound((port,), MTLS))["inbound-listener"]).filter_chains
    limits = [
        unpacked(chain.filters[0].typed_config, of_network.LocalRateLimit) for chain in chains
    ]

    assert 4 == len(limits)
    assert {("inbound|8080|local", 5, 60)} == {
        (one.share_key, one.token_bucket.max_tokens, one.token_bucket.fill_interval.seconds)
        for one in limits
    }


def test_a_bucket_holds_the_rate_and_the_burst_and_is_always_asked() -> None:
    [host] = routes(_routes(LIMITED)).virtual_hosts
    limit = unpacked(host.typed_per_filter_config[REQUEST_LIMIT], of_http.LocalRateLimit)
    bucket = limit.token_bucket

    assert (5, 3, 1) == (
        bucket.max_tokens,
        bucket.tokens_per_fill.value,
        bucket.fill_interval.seconds,
    )
    assert [100, 100] == [
        one.default_value.numerator for one in (limit.filter_enabled, limit.filter_enforced)
    ]


def test_bytes_and_probes_are_not_limited_as_requests() -> None:
    bytes_ = replace(PORT, protocol=Protocol.TCP, limits=LIMITED)
    probes = replace(PORT, services=(), probes=())
    for port in (bytes_, probes):
        for resource in inbound_routes(Inbound((port,))).values():
            for host in routes(resource).virtual_hosts:
                assert REQUEST_LIMIT not in host.typed_per_filter_config


def test_a_limit_that_must_wait_leaves_what_was_and_refuses_nobody() -> None:
    other = replace(LIMITED, requests=None, routes=(("/a", RequestLimit(Rate(9, 1))),))
    for before, after in ((RateLimits(), LIMITED), (LIMITED, other), (LIMITED, RateLimits())):
        between = intersection(_routes(before), _routes(after))
        assert between is not None
        [host], [old] = routes(between).virtual_hosts, routes(_routes(before)).virtual_hosts
        assert dict(old.typed_per_filter_config) == dict(host.typed_per_filter_config)
        assert list(old.routes) == list(host.routes)


def test_a_limit_on_connections_that_must_wait_closes_no_chain() -> None:
    for before, after in ((RateLimits(), LIMITED), (LIMITED, RateLimits())):
        between = intersection(_listener(before), _listener(after))

        assert _listener(before) == between
    (chain,) = listener(_listener(LIMITED)).filter_chains
    assert CONNECTION_LIMIT == chain.filters[0].name


def _routes(limits: RateLimits) -> Resource:
    return inbound_routes(Inbound((replace(PORT, limits=limits),)))["rds-inbound.8080"]


def _listener(limits: RateLimits) -> Resource:
    return inbound_listener(Inbound((replace(PORT, limits=limits),)))["inbound-listener"]
