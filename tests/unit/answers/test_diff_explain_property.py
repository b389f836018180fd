"""`diff` and `explain` agree: for random pairs of meshes and any of many attempts of each account,
in the mesh and out of it, what only one side allows is said to change, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.marked import marked_pod, with_authority
from support.objects import (
    egress,
    endpoint_slice,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    route_group,
    service,
    setting,
    traffic_target,
)
from towpath.answers.access import ANYTHING
from towpath.answers.access_change import Change, Comparison, Direction, account_access
from towpath.answers.explain import explain, parse_attempt
from towpath.model.identity import MtlsMode
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol
from towpath.planning.egress.decide import Attempt, matches
from towpath.planning.egress.hosts import covers

ACCOUNTS = tuple(Account("shop", name) for name in ("curl", "cart"))
HOSTS = ("a.test", "*.b.test", "x.b.test")
GROUPS = {"get": ("/get", "GET"), "post": ("/post", "POST"), "any": (".*", "GET")}
URLS = tuple(
    f"http://{host}{path}"
    for host in ("a.test", "x.b.test", "y.b.test")
    for path in ("/get", "/post")
)
INSIDE = ("http://web.shop/get", "http://web.shop/post")
TLS = ("https://a.test/", "https://x.b.test/", "https://c.test/")
REQUESTS = tuple(product((*URLS, *INSIDE), ("GET", "POST"))) + tuple((url, "GET") for url in TLS)
FIXED: tuple[Object, ...] = (
    namespace(),
    service("web"),
    endpoint_slice("web", "10.0.0.1"),
    pod("cart", account="cart", app="x", addresses=("10.0.0.3",)),
    *(route_group(name, path, methods=(method,)) for name, (path, method) in GROUPS.items()),
)


@st.composite
def policies(draw: st.DrawFn) -> tuple[Object, ...]:
    """Up to three Egresses and two TrafficTargets."""
    sources = st.sampled_from((ACCOUNTS[:1], ACCOUNTS[1:], ACCOUNTS))
    groups = st.sampled_from(tuple(GROUPS))
    out = [
        egress(
            f"out-{number}",
            (443, Protocol.HTTPS) if secure else (80, Protocol.HTTP),
            hosts=draw(st.sampled_from(tuple((host,) for host in HOSTS))),
            sources=draw(sources),
            route_groups=None if secure else draw(st.sampled_from((None, ("get",), ("post",)))),
        )
        for number, secure in enumerate(draw(st.lists(st.booleans(), max_size=3)))
    ]
    into = [
        traffic_target(
            f"in-{number}",
            RouteReference(Kind.HTTP_ROUTE_GROUP, name),
            sources=draw(sources),
        )
        for number, name in enumerate(draw(st.lists(groups, max_size=2)))
    ]
    return (*out, *into)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    switches = mesh_config(
        policies=draw(st.sampled_from((True, True, False))),
        egress=draw(st.sampled_from((False, False, True))),
        permissive=draw(st.booleans()),
    )
    mode = draw(st.sampled_from((MtlsMode.PERMISSIVE, MtlsMode.STRICT)))
    pods = (
        marked_pod(account="web", addresses=("10.0.0.1",), marked=draw(st.booleans())),
        marked_pod(
            "curl", account="curl", app="x", addresses=["10.0.0.2"], marked=draw(st.booleans())
        ),
    )
    closed = draw(st.sampled_from(((), (setting(service="web", closed=True),))))
    mesh = mesh_of(*FIXED, replace(switches, mtls=mode), *pods, *closed, *draw(policies()))
    return with_authority(mesh)


@settings(max_examples=examples(60))
@given(meshes(), meshes())
def test_diff_says_what_explain_does(old: Mesh, new: Mesh) -> None:
    comparison = Comparison(old, new)
    for account in comparison.accounts:
        comparison.add(account, account_access(old, account), account_access(new, account))
    by_change = comparison.changes().by_change
    for account in ACCOUNTS:
        changes = [change for change, accounts in by_change.items() if account in accounts]
        for attempt in _attempts():
            before = explain(old, account, attempt, ()).decision.allowed
            after = explain(new, account, attempt, ()).decision.allowed
            directions = {one.direction for one in changes if _is_about(one, attempt)}
            if before != after:
                assert (Direction.GAINS if after else Direction.LOSES) in directions, attempt
            elif attempt.address:
                # In the mesh a place is one alone; outside, a wider one speaks of others too.
                assert not _sure(changes, attempt), attempt


def _attempts() -> Iterator[Attempt]:
    for url, method in REQUESTS:
        address = "10.96.0.1" if url in INSIDE else None
        yield parse_attempt(url, method=method, address=address)


def _is_about(change: Change, attempt: Attempt) -> bool:
    target = change.target
    if target.service or attempt.address:
        return bool(target.service and attempt.address) and _asks(change, attempt)
    if not target.port:
        return True
    return (
        attempt.port == target.port
        and target.protocol in (attempt.protocol, Protocol.TCP)
        and (not target.host or covers(target.host, attempt.host))
        and _asks(change, attempt)
    )


def _asks(change: Change, attempt: Attempt) -> bool:
    return attempt.protocol is not Protocol.HTTP or matches(change.request, attempt)


def _sure(changes: list[Change], attempt: Attempt) -> list[Change]:
    """Changes of that very request, which no other expression may allow as well."""
    return [
        one
        for one in changes
        if _is_about(one, attempt)
        and one.request != ANYTHING
        and one.request.path != ".*"
        and not any(matches(other, attempt) for other in one.but)
    ]
