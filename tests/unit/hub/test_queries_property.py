"""Whatever changes, and whatever is asked in between, a queries answers as if it had no memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.objects import (
    egress,
    endpoint_slice,
    fill,
    headless,
    ingress_backend,
    mesh_config,
    namespace,
    new_store,
    pod,
    port,
    retry,
    route_group,
    service,
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from support.sidecar_plan import sidecar_plan
from towpath.hub.compose import snapshot
from towpath.hub.queries import Queries
from towpath.model.limits import Rate, RateLimits
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, Kind, Protocol, SidecarId
from towpath.planning import problems
from towpath.store import Store

Change = Callable[[Store], None]

CURL = SidecarId(pod="curl", namespace="shop")
WEB = SidecarId(pod="web-1", namespace="shop")
QUESTIONS: tuple[tuple[Callable[..., object], tuple[Hashable, ...]], ...] = (
    (problems, ()),
    *((sidecar_plan, (who,)) for who in (CURL, WEB)),
    *((snapshot, (kind, who)) for kind in ClientKind for who in (CURL, WEB)),
)

protocols = st.sampled_from(Protocol)
spaces = st.sampled_from(("shop", "bank"))
ports = st.builds(
    port,
    st.sampled_from((80, 81)),
    protocols,
    name=st.sampled_from(("", "x")),
    target=st.sampled_from((8080, 8081, "named")),
)
addresses = st.sampled_from(("10.0.0.1", "10.0.0.2", "10.96.0.1"))
objects: st.SearchStrategy[Object] = st.one_of(
    st.builds(namespace, spaces, mesh=st.sampled_from(("osm", None))),
    st.builds(
        mesh_config,
        permissive=st.booleans(),
        egress=st.booleans(),
        policies=st.booleans(),
        retries=st.booleans(),
        ingress=st.booleans(),
    ),
    st.builds(
        egress,
        st.sampled_from(("a", "b")),
        st.tuples(st.sampled_from((80, 443)), protocols),
        in_namespace=spaces,
        hosts=st.sampled_from((None, ("x.test",), ("*.x.test", "a.x.test"))),
        ranges=st.sampled_from((None, ("10.0.0.0/8",), ("10.0.0.0/8", "10.96.0.1/32"))),
        route_groups=st.sampled_from((None, ("get",))),
        setting=st.sampled_from((None, "limits")),
    ),
    st.builds(route_group, st.just("get"), st.sampled_from(("/a", "/b")), in_namespace=spaces),
    st.builds(
        traffic_split,
        st.sampled_from(("one", "two")),
        st.tuples(st.sampled_from(("web", "db")), st.integers(0, 2)),
        in_namespace=spaces,
        route_groups=st.sampled_from((None, ("get",))),
        closed=st.booleans(),
    ),
    st.builds(
        traffic_target,
        destination=st.sampled_from(("default", "buyer")),
        sources=st.sampled_from(((), (Account("shop", "default"),), (Account("bank", "buyer"),))),
        in_namespace=spaces,
        closed=st.booleans(),
    ),
    st.builds(tcp_route, st.just("ports"), st.sampled_from((8080, 8081)), in_namespace=spaces),
    st.builds(
        setting,
        in_namespace=spaces,
        max_connections=st.sampled_from((1, 2)),
        service=st.sampled_from(("", "web", "db")),
        limits=st.sampled_from((None, RateLimits(connections=Rate(1, 60)))),
        closed=st.booleans(),
    ),
    st.builds(
        ingress_backend,
        st.just("outside"),
        in_namespace=spaces,
        services=st.sampled_from(((), (("shop", "db"),), (("bank", "web"),))),
        ranges=st.sampled_from(((), ("10.0.0.0/8",))),
        closed=st.booleans(),
    ),
    st.builds(
        retry,
        st.sampled_from(("one", "two")),
        st.tuples(spaces, st.sampled_from(("web", "db"))),
        source=st.sampled_from(("default", "buyer")),
        in_namespace=spaces,
        closed=st.booleans(),
    ),
    st.builds(
        service,
        st.sampled_from(("web", "db")),
        ports,
        in_namespace=spaces,
        ips=st.sampled_from((("10.96.0.1",), ("10.96.0.2",))),
        selector=st.sampled_from(({"app": "web"}, {"app": "db"}, {})),
    ),
    st.builds(
        lambda name, two, space: headless(name, *two, in_namespace=space),
        st.sampled_from(("web", "db")),
        st.lists(ports, min_size=1, max_size=2, unique_by=lambda p: p.port),
        spaces,
    ),
    st.builds(
        endpoint_slice,
        st.sampled_from(("web", "db")),
        addresses,
        in_namespace=spaces,
        name=st.sampled_from(("one", "two")),
        ports=st.dictionaries(st.sampled_from(("", "x")), st.sampled_from((8080, 8081))),
    ),
    st.builds(
        pod,
        st.sampled_from(("curl", "web-1")),
        app=st.sampled_from(("web", "curl")),
        account=st.sampled_from(("default", "buyer")),
        ports=st.sampled_from(({}, {"named": 9090})),
    ),
)


def _apply(obj: Object) -> Change:
    return lambda store: store.apply(obj)


def _delete(obj: Object) -> Change:
    return lambda store: store.delete(obj.kind, obj.namespace, obj.name)


changes = objects.map(_apply) | objects.map(_delete)
steps = st.lists(
    st.tuples(st.lists(changes, max_size=4), st.sets(st.sampled_from(range(len(QUESTIONS))))),
    max_size=8,
)


@settings(max_examples=examples(150))
@given(start=st.lists(objects, max_size=8), steps=steps)
def test_a_memo_answers_as_a_fresh_computation_does(
    start: list[Object], steps: list[tuple[list[Change], set[int]]]
) -> None:
    store = new_store()
    fill(store, namespace("shop"), mesh_config(), pod("curl", app="curl"), *start)
    queries = Queries(store.drain()[0])
    for now, asked in steps:
        for change in now:
            change(store)
        queries.update(*store.drain())
        for index in asked:
            _agrees(queries, index)
    for index in range(len(QUESTIONS)):
        _agrees(queries, index)
    for question, args in QUESTIONS:
        queries.forget(question, *args)
    assert 0 == queries.counts.remembered
    assert not queries._inputs


def _agrees(queries: Queries, index: int) -> None:
    question, args = QUESTIONS[index]
    assert type(queries.mesh) is Mesh  # one that remembers nothing
    assert question(queries.mesh, *args) == queries.get(question, *args)


def test_every_kind_of_object_is_among_the_random_changes() -> None:
    made = {
        *(Kind.NAMESPACE, Kind.MESH_CONFIG, Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD),
        *(Kind.EGRESS, Kind.HTTP_ROUTE_GROUP, Kind.UPSTREAM_TRAFFIC_SETTING),
        *(Kind.TRAFFIC_TARGET, Kind.TRAFFIC_SPLIT, Kind.TCP_ROUTE, Kind.RETRY),
        Kind.INGRESS_BACKEND,
    }

    assert made == set(Kind) - {Kind.SERVICE_ACCOUNT}
