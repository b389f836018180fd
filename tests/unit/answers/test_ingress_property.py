"""`explain` and `diff` count IngressBackends as the called pod's sidecar does: for any of them, the
answer is that of the chains and RBAC policies that are encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import product
from typing import Any

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoded import listener, routes, unpacked
from support.examples import examples
from support.marked import marked_pod, with_authority
from support.objects import (
    endpoint_slice,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    port,
    route_group,
    service,
    traffic_target,
)
from towpath.answers.access_change import AccessTarget, Comparison, account_access
from towpath.answers.access_from_outside import Outsider, entrances, let_in
from towpath.answers.access_inside import inside
from towpath.answers.explain import explain, parse_attempt
from towpath.encode.envoy import inbound_listener, inbound_routes
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.model.identity import MtlsMode, server_name
from towpath.model.ingress import Backend, IngressBackend
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol, SidecarId
from towpath.planning import inbound, outbound

CURL, ADDRESS = Account("shop", "curl"), "10.0.0.2"
SNI = server_name("shop", "web")
RANGES = ("10.0.0.0/30", "10.0.0.2/32", "192.0.2.0/24", "0.0.0.0/0")
CALLERS = tuple(
    product(
        ("192.0.2.9", "10.0.0.3", "203.0.113.1"),
        (("", ""), *product(("shop/curl", "shop/other", "shop/x"), (SNI, "x.test"))),
    )
)
"""Callers from outside: an address, and the account in a certificate with what is asked for."""


@st.composite
def backends(draw: st.DrawFn) -> IngressBackend:
    tls = draw(st.booleans())
    hosts = draw(st.sampled_from(((), (SNI,), ("x.test",), ("x.test",)))) if tls else ()
    return ingress_backend(
        "outside",
        Backend("web", draw(st.sampled_from((8080, 8080, 8080, 8081))), tls, hosts),
        ranges=sorted(draw(st.sets(st.sampled_from(RANGES), max_size=2))),
        principals=draw(st.sampled_from(((), ("curl.shop",), ("curl.shop", "other.shop")))),
    )


@st.composite
def meshes(draw: st.DrawFn) -> tuple[Object, ...]:
    mode = draw(st.sampled_from((MtlsMode.PERMISSIVE, MtlsMode.STRICT, MtlsMode.DISABLED)))
    targets = traffic_target(), route_group("get", "/get", methods=("GET",))
    more = draw(st.lists(backends(), max_size=2))
    on = draw(st.sampled_from((True, True, True, False)))
    switches = mesh_config(
        permissive=draw(st.sampled_from((False, False, False, True))),
        ingress=on,
        egress=draw(st.booleans()),
    )
    return (
        namespace(),
        replace(switches, mtls=mode),
        service("web", port(80, Protocol.HTTP)),
        endpoint_slice("web", "10.0.0.1"),
        marked_pod(
            account="web",
            addresses=("10.0.0.1",),
            marked=draw(st.sampled_from((True, True, False))),
        ),
        marked_pod(
            "curl",
            account="curl",
            app="x",
            addresses=(ADDRESS,),
            marked=draw(st.sampled_from((True, True, False))),
        ),
        *(targets if draw(st.booleans()) else ()),
        *(replace(one, name=f"outside-{n}") for n, one in enumerate(more)),
    )


def _mesh(objects: tuple[Object, ...]) -> Mesh:
    return with_authority(mesh_of(*objects))


@settings(max_examples=examples(200))
@given(meshes(), st.sampled_from(("http://web.shop/get", "http://web.shop/x")))
def test_explain_says_of_a_caller_of_the_mesh_what_the_sidecars_do(
    objects: tuple[Object, ...], url: str
) -> None:
    mesh = _mesh(objects)
    attempt = parse_attempt(url, address="10.96.0.1")
    (destination,) = mesh.query(outbound, CURL).destinations or (None,)
    by_tls = _marked(mesh, "curl") and _marked(mesh, "web-1") and _mode(mesh) != "disabled"
    name, asked = ("shop/curl", SNI) if by_tls else ("", "")
    comes_in = _comes_in(mesh, Called(ADDRESS, name, asked, attempt.path))

    wanted = destination is not None and comes_in
    assert wanted == explain(mesh, CURL, attempt, ()).decision.allowed


@settings(max_examples=examples(200))
@given(meshes())
def test_whoever_comes_in_from_outside_is_among_those_that_are_compared(
    objects: tuple[Object, ...],
) -> None:
    mesh = _mesh(objects)
    places = tuple(sorted({*entrances(mesh), ("shop", "web", 8080)}))
    outsiders = let_in(mesh, places)["shop", "web", 8080]
    for address, (name, asked) in CALLERS:
        spiffe = _spiffe(name)
        wanted = _comes_in(mesh, Called(address, name, asked, "/none"))
        covered = any(one.covers(Outsider(f"{address}/32", spiffe, asked)) for one in outsiders)
        assert wanted == covered, (address, name, asked)


@settings(max_examples=examples(100))
@given(meshes(), meshes())
def test_what_changes_for_callers_from_outside_is_said_and_nothing_else(
    one: tuple[Object, ...], other: tuple[Object, ...]
) -> None:
    """By every caller that comes in on one side alone, and by none that comes in on both."""
    old, new = _mesh(one), _mesh(other)
    places = tuple(sorted(entrances(old) | entrances(new)))
    before, after = let_in(old, places), let_in(new, places)
    comparison = Comparison(old, new)
    comparison.add_outsiders(before, after)
    changes = comparison.changes().by_change
    place = ("shop", "web", 8080)
    target = AccessTarget("shop/web", port=8080, protocol="http")
    said = {(one.direction.value, one.caller) for one in changes if one.target == target}
    for direction, less, more in (("gains", before, after), ("loses", after, before)):
        for caller in more.get(place, {}):
            both = any(each.covers(caller) for each in less.get(place, {}))
            assert both != ((direction, str(caller)) in said)


@settings(max_examples=examples(50))
@given(meshes())
def test_access_that_diff_compares_is_what_explain_allows(objects: tuple[Object, ...]) -> None:
    mesh = _mesh(objects)
    if mesh.config() is None or _mode(mesh) == "strict" or mesh.config().permissive:  # type: ignore[union-attr]
        return
    (callable_,) = mesh.query(inside, CURL) or (None,)
    requests = {match.path for match, _ in callable_.access.requests} if callable_ else set()
    for path in ("/get", "/x"):
        attempt = parse_attempt(f"http://web.shop{path}", address="10.96.0.1")
        allowed = explain(mesh, CURL, attempt, ()).decision.allowed
        assert allowed == bool(requests & {".*", path})
    assert account_access(mesh, CURL).inside == mesh.query(inside, CURL)


@dataclass(frozen=True)
class Called:
    """Who calls: the address, the account in the certificate ("" for plaintext), what TLS is asked
    for, and the path.
    """

    address: str
    name: str
    asked: str
    path: str


def _comes_in(mesh: Mesh, call: Called) -> bool:
    """What the sidecar of the pod `web-1` does: by the chain that such a connection gets, and by
    the policies of its routes.
    """
    plan = mesh.query(inbound, _pod(mesh, "web-1"))
    layer = inbound_listener(plan)
    if "inbound-listener" not in layer:
        return False
    for chain in listener(layer["inbound-listener"]).filter_chains:
        tls = chain.HasField("transport_socket")
        if tls is bool(call.name) and chain.filter_chain_match.destination_port.value == 8080:
            (manager,) = (
                unpacked(one.typed_config, hcm.HttpConnectionManager)
                for one in chain.filters
                if one.typed_config.Is(hcm.HttpConnectionManager.DESCRIPTOR)
            )
            name = manager.rds.route_config_name
            (host,) = routes(inbound_routes(plan)[name]).virtual_hosts
            config = unpacked(host.typed_per_filter_config[RBAC_FILTER], RBACPerRoute)
            return any(_lets_in(policy, call) for policy in config.rbac.rules.policies.values())
    return False


def _lets_in(policy: Any, call: Called) -> bool:
    return any(_principal(one, call) for one in policy.principals) and any(
        _permission(one, call) for one in policy.permissions
    )


def _principal(one: Any, call: Called) -> bool:
    match one.WhichOneof("identifier"):
        case "any":
            return True
        case "direct_remote_ip":
            block = f"{one.direct_remote_ip.address_prefix}/{one.direct_remote_ip.prefix_len.value}"
            return IPv4Address(call.address) in IPv4Network(block)
        case "authenticated":
            return bool(one.authenticated.principal_name.exact == _spiffe(call.name))
        case "and_ids":
            return all(_principal(each, call) for each in one.and_ids.ids)
        case "or_ids":
            return any(_principal(each, call) for each in one.or_ids.ids)
    raise AssertionError(one)


def _permission(one: Any, call: Called) -> bool:
    match one.WhichOneof("rule"):
        case "any":
            return True
        case "requested_server_name":
            return bool(one.requested_server_name.exact == call.asked)
        case "and_rules":  # the target's GET /get
            return call.path == "/get"
    raise AssertionError(one)


def _spiffe(account: str) -> str:
    namespace_, _, name = account.partition("/")
    return f"spiffe://cluster.local/ns/{namespace_}/sa/{name}" if account else ""


def _pod(mesh: Mesh, name: str) -> Any:
    return mesh.pod(SidecarId(pod=name, namespace="shop"))


def _marked(mesh: Mesh, name: str) -> bool:
    return any(label == "openservicemesh.io/mtls" for label, _ in _pod(mesh, name).labels)


def _mode(mesh: Mesh) -> str:
    config = mesh.config()
    return config.mtls.value if config else ""
