"""Proposals: they allow what was reported, nothing else without a remark, and few of them do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.objects import mesh_config, mesh_of, namespace
from towpath.answers.explain import explain
from towpath.answers.proposal import MOST_PATHS, Proposals, propose
from towpath.answers.proposal_yaml import manifests
from towpath.answers.suggest import nameable
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Counts
from towpath.sources.decode import decode

CURL, CART = Account("curl", "curl"), Account("curl", "cart")
ACCOUNTS = (CURL, CART, Account("shop", "curl"), Account("123", "true"))
HOSTS = (
    *("a.test", "b.test", "c.a.test", "d.a.test", "e.a.test", "f.a.test", "a_b.test", "10.1.2.3"),
    *("-a.test", "ü.test", "a.test:8080", ""),
)
PATHS = ("", "/a", "/b", "/a.b", "/a/../b", "/" + "x" * 600, "/ü", "/#", '/"\\')
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
)
HERE: Counts = (("192.0.2.9", 1),)


def of(protocol: Protocol, flow: Flow) -> Flow:
    """The flow as the sidecar would report it if this is spoken."""
    if protocol is Protocol.HTTP:
        return replace(flow, address="" if flow.host else "192.0.2.9")
    host = flow.host if protocol is Protocol.HTTPS else ""
    address = "" if host else "192.0.2.9"
    return replace(flow, protocol=protocol, host=host, address=address, method="", path="")


flows = st.builds(
    of,
    st.sampled_from((Protocol.HTTP, Protocol.HTTPS, Protocol.TCP)),
    st.builds(
        replace,
        st.just(FLOW),
        account=st.sampled_from(ACCOUNTS),
        host=st.sampled_from(HOSTS),
        port=st.sampled_from((80, 443, 8080, 15001)),
        method=st.sampled_from(("GET", "POST", "PROPFIND", "CONNECT", "*", "")),
        path=st.sampled_from(PATHS),
    ),
)
reported = st.lists(
    st.tuples(flows, st.sampled_from((HERE, (("192.0.2.9", 2), ("192.0.2.10", 1)), ((None, 1),)))),
    max_size=12,
    unique_by=lambda pair: pair[0],
)


def applied(proposals: Proposals) -> Mesh:
    """A closed mesh with the policies, as they are read from what is printed."""
    text = manifests(proposals.proposals)
    decoded = [decode(raw, "suggested") for raw in yaml.safe_load_all(text)]
    assert [] == [problem for one in decoded for problem in one.problems], text
    objects = {(o.kind, o.namespace, o.name): o for one in decoded if (o := one.value)}
    assert len(decoded) == len(objects)
    spaces = [namespace(name) for name in sorted({account.namespace for account in ACCOUNTS})]
    return mesh_of(*spaces, mesh_config(policies=True), *objects.values())


@settings(max_examples=examples(150), deadline=None)
@given(reported, st.booleans())
def test_explain_allows_everything_that_was_reported(
    pairs: list[tuple[Flow, Counts]],
    wildcards: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    proposals = propose(pairs, wildcards=wildcards)
    mesh = applied(proposals)
    impossible = {flow for flow, _ in proposals.left}
    assert not [reason for _, reason in proposals.left if "too large" in reason]

    for flow, counts in pairs:
        assert flow.account is not None
        for address, _ in counts if flow not in impossible else ():
            attempt = flow.attempt(address)
            explanation = explain(mesh, flow.account, attempt, ())
            assert explanation.decision.allowed, (flow, manifests(proposals.proposals))


@settings(max_examples=examples(300), deadline=None)
@given(reported, flows.filter(lambda flow: nameable(flow.attempt(None)) != ""))
def test_nothing_that_was_not_reported_is_allowed_without_a_remark(
    pairs: list[tuple[Flow, Counts]], other: Flow
) -> None:
    proposals = propose(pairs)
    mesh = applied(proposals)
    assert other.account is not None
    elsewhere = other.attempt("192.0.2.77")

    if explain(mesh, other.account, elsewhere, ()).decision.allowed:
        remarks = any(one.remarks for one in proposals.proposals)
        assert remarks or any(_same(flow, other) for flow, _ in pairs)


def _same(flow: Flow, other: Flow) -> bool:
    """True if both ask for the same; CONNECT has no path."""
    where = (flow.account, flow.host, flow.port, flow.protocol, flow.method)
    if where != (other.account, other.host, other.port, other.protocol, other.method):
        return False
    return flow.method == "CONNECT" or flow.path == other.path


def test_hosts_that_need_the_same_are_one_policy_for_all_accounts_that_need_them() -> None:
    pairs = [
        (replace(FLOW, account=account, host=host, path="/a"), HERE)
        for account in (CURL, CART)
        for host in ("a.test", "b.test")
    ]
    (proposal,) = propose(pairs).proposals

    assert (("cart", "curl"), ("a.test", "b.test")) == (proposal.accounts, proposal.hosts)
    assert () == proposal.remarks


def test_another_method_of_another_host_is_another_policy() -> None:
    pairs = [
        (replace(FLOW, host="a.test", path="/a"), HERE),
        (replace(FLOW, host="b.test", path="/a", method="POST"), HERE),
    ]

    assert 2 == len(propose(pairs).proposals)


def test_accounts_of_other_namespaces_get_policies_of_their_own() -> None:
    pairs = [(replace(FLOW, account=account), HERE) for account in ACCOUNTS[1:]]

    assert {"curl", "shop", "123"} == {one.namespace for one in propose(pairs).proposals}


def test_without_paths_every_path_is_allowed_and_it_is_said() -> None:
    (proposal,) = propose([(FLOW, HERE)]).proposals

    assert ("Paths were not kept: every path.",) == proposal.remarks
    assert "# Paths were not kept: every path.\n" in manifests([proposal])
    assert (".*", ("GET",)) == (proposal.matches[0].path, proposal.matches[0].methods)


def test_too_many_paths_become_every_path_and_it_is_said() -> None:
    pairs = [(replace(FLOW, path=f"/{n}"), HERE) for n in range(MOST_PATHS + 1)]
    (proposal,) = propose(pairs).proposals

    assert [".*"] == [match.path for match in proposal.matches]
    assert "every path" in proposal.remarks[0]


@pytest.mark.parametrize("wildcards", [False, True])
def test_names_below_one_parent_are_a_pattern_only_if_that_is_asked_for(
    wildcards: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    pairs = [
        (of(Protocol.HTTPS, replace(FLOW, port=443, host=f"{n}.s3.test")), HERE) for n in range(4)
    ]
    (proposal,) = propose(pairs, wildcards=wildcards).proposals
    text = manifests([proposal])

    assert wildcards is (proposal.hosts == ("*.s3.test",))
    assert "every name below" in text


@pytest.mark.parametrize("parent", ["test", "co.uk", "1.2.3"])
def test_a_parent_that_belongs_to_anybody_is_no_pattern(parent: str) -> None:
    pairs = [(replace(FLOW, host=f"10{n}.{parent}", path="/"), HERE) for n in range(9)]
    (proposal,) = propose(pairs, wildcards=True).proposals

    assert 9 == len(proposal.hosts)


def test_what_no_policy_can_allow_is_left_with_the_reason() -> None:
    flow = of(Protocol.TCP, replace(FLOW, port=15001))
    proposals = propose([(flow, HERE), (replace(FLOW, account=None), HERE)])

    assert ["port 15001 is the sidecar's own", "it is not known whose it is"] == [
        reason for _, reason in proposals.left
    ]
    assert "" == manifests(proposals.proposals)
