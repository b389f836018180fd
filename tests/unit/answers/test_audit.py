"""Audit: the same answer as `decide` on the plan of a mesh in which passthrough is off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import ADDRESSES, HOSTS, MATCHES, RANGES, SAID
from support.examples import examples
from support.objects import mesh_config, mesh_of, namespace, pod, port, service
from towpath.answers.audit import Judgement, judge
from towpath.hub.queries import Queries
from towpath.model.egress import Egress, HTTPRouteGroup, RequestMatch
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.planning import closed_outbound, outbound
from towpath.planning.egress.decide import decide

CURL = Account("curl", "curl")
FLOW = Flow(
    account=CURL,
    pod_address="",
    host="a.test",
    address="",
    port=80,
    protocol=Protocol.HTTP,
    verdict=Verdict.ALLOW,
    passthrough=True,
    method="GET",
    path="/a",
)
HERE = (("192.0.2.9", 1),)


def mesh(*objects: Object, passthrough: bool = True, policies: bool = True) -> Mesh:
    config = mesh_config(egress=passthrough, policies=policies)
    return mesh_of(namespace("curl"), config, *objects)


def egress(name: str = "p", **fields: object) -> Egress:
    defaults = {"sources": (CURL,), "ports": ((80, Protocol.HTTP),), "hosts": ("a.test",)}
    return Egress("curl", name, **{**defaults, **fields})  # type: ignore[arg-type]


def group(*matches: RequestMatch) -> HTTPRouteGroup:
    return HTTPRouteGroup("curl", "g", matches, tuple(f"m{n}" for n in range(len(matches))))


policies = st.builds(
    egress,
    name=st.sampled_from(("p", "q", "r")),
    ports=st.lists(
        st.tuples(st.sampled_from((80, 443)), st.sampled_from(Protocol)), max_size=2, unique=True
    ).map(tuple),
    hosts=st.none() | st.lists(st.sampled_from(HOSTS), max_size=2, unique=True).map(tuple),
    ranges=st.none() | st.lists(st.sampled_from(RANGES), max_size=2, unique=True).map(tuple),
    route_groups=st.none() | st.just(("g",)),
)
flows = st.builds(
    replace,
    st.just(FLOW),
    host=st.sampled_from(SAID),
    port=st.sampled_from((80, 443)),
    protocol=st.sampled_from((Protocol.HTTP, Protocol.HTTPS)),
    method=st.sampled_from(("GET", "PUT")),
    path=st.sampled_from(("/a", "/b", "/c")),
)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(policies, max_size=3), flows, st.sampled_from(ADDRESSES))
def test_what_is_let_out_stays_exactly_if_it_is_allowed_with_passthrough_off(
    written: list[Egress], flow: Flow, address: str | None
) -> None:
    objects: tuple[Object, ...] = (*written, group(*MATCHES))
    off = outbound(mesh(*objects, passthrough=False), CURL)
    allowed = decide(off, flow.attempt(address)).allowed
    judgement = judge(mesh(*objects), flow, ((address, 3),))

    assert (
        (3, 0, 0)
        if allowed
        else (0, 3, 0)
        == (
            judgement.stay,
            judgement.refused,
            judgement.unclear,
        )
    )
    assert off == closed_outbound(mesh(*objects), CURL)


def test_what_passthrough_alone_lets_out_would_be_refused_and_the_reason_is_said() -> None:
    judgement = judge(mesh(egress()), replace(FLOW, host="b.test"), HERE)

    assert 1 == judgement.refused
    assert "no policy in effect names the host 'b.test' on port 80" == judgement.reason


def test_what_was_refused_anyway_is_nothing_that_could_be_lost() -> None:
    assert Judgement(CURL) == judge(mesh(), replace(FLOW, verdict=Verdict.DENY), HERE)


def test_each_address_is_judged_for_itself() -> None:
    flow = replace(FLOW, protocol=Protocol.HTTPS, port=443, method="", path="")
    policy = egress(ports=((443, Protocol.HTTPS),), ranges=("192.0.2.0/24",))
    judgement = judge(mesh(policy), flow, (("192.0.2.9", 5), ("198.51.100.1", 2), (None, 1)))

    assert (5, 3, ("curl/p",)) == (judgement.stay, judgement.refused, judgement.policies)


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        (RequestMatch("/a"), "", "unclear"),
        (RequestMatch("/a"), "/a", "stay"),
        (RequestMatch("/b"), "/a", "refused"),
        (RequestMatch(".*"), "", "stay"),
        (RequestMatch(".*", ("PUT",)), "", "refused"),
        (RequestMatch("/a", ("PUT",)), "", "refused"),
        (RequestMatch("/a", (), (("x", "y"),)), "/a", "unclear"),
    ],
)
def test_what_hangs_on_what_was_not_kept_is_unclear(
    match: RequestMatch, path: str, expected: str
) -> None:
    objects: tuple[Object, ...] = (egress(route_groups=("g",)), group(match))
    judgement = judge(mesh(*objects), replace(FLOW, path=path), HERE)

    assert 1 == getattr(judgement, expected)


def test_what_a_policy_let_out_by_a_path_that_was_not_kept_stays() -> None:
    objects: tuple[Object, ...] = (egress(route_groups=("g",)), group(RequestMatch("/a")))
    flow = replace(FLOW, path="", passthrough=False, policies=("curl/p",))

    assert 1 == judge(mesh(*objects), flow, HERE).stay


def test_without_policies_everything_would_be_refused() -> None:
    assert 1 == judge(mesh(egress(), policies=False), FLOW, HERE).refused


def test_a_namespace_outside_the_mesh_says_so() -> None:
    flow = replace(FLOW, account=Account("other", "one"))
    judgement = judge(mesh(), flow, HERE)

    assert (1, "namespace other is not part of mesh osm") == (judgement.refused, judgement.reason)


def test_a_pod_is_found_by_its_address_and_one_that_is_not_known_is_not_judged() -> None:
    there = mesh(pod("curl-0", in_namespace="curl", account="curl", addresses=["10.0.0.8"]))
    flow = replace(FLOW, account=None, pod_address="10.0.0.8")

    assert CURL == judge(there, flow, HERE).account
    assert Judgement(None) == judge(there, replace(flow, pod_address="10.0.0.9"), HERE)


def test_a_pod_of_which_several_accounts_may_be_is_not_known() -> None:
    pods = [
        pod(f"p{n}", in_namespace="curl", account=f"a{n}", addresses=["10.0.0.8"]) for n in (1, 2)
    ]
    flow = replace(FLOW, account=None, pod_address="10.0.0.8")

    assert Judgement(None) == judge(mesh(*pods), flow, HERE)


def test_what_goes_to_a_service_of_the_mesh_is_no_matter_of_passthrough() -> None:
    there = mesh(service("web", port(80), in_namespace="curl", ips=["10.96.0.1"]))

    assert judge(there, FLOW, (("10.96.0.1", 1),)).inside
    assert not judge(there, FLOW, (("10.96.0.1", 1), ("192.0.2.9", 1))).inside


def test_queries_give_what_the_plain_mesh_gives() -> None:
    there = mesh(egress(), passthrough=True)

    assert judge(there, FLOW, HERE) == Queries(there).get(judge, FLOW, HERE)
