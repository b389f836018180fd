"""Which policies apply, where they lead, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace

from support.objects import egress, mesh_config, mesh_of, namespace, route_group, setting
from towpath.model.codes import Reason
from towpath.model.egress_plan import Resolution
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.model.plan import Outbound
from towpath.model.problem import Problem
from towpath.planning import outbound, problems
from towpath.planning.egress.decide import Attempt, Decision, decide

DEFAULT = Account("shop", "default")
OTHER = Account("shop", "other")
GET = Attempt(None, 80, Protocol.HTTP, host="httpbin.org", path="/get")


def _mesh(*objects: Object, policies: bool = True) -> Mesh:
    return mesh_of(namespace("shop"), namespace("bank"), mesh_config(policies=policies), *objects)


def _plan(*objects: Object, account: Account = DEFAULT) -> Outbound:
    return outbound(_mesh(*objects), account)


def _decide(*objects: Object, account: Account = DEFAULT, attempt: Attempt = GET) -> Decision:
    return decide(_plan(*objects, account=account), attempt)


def _problems(*objects: Object, policies: bool = True) -> list[Problem]:
    return list(problems(_mesh(*objects, policies=policies)))


def test_a_policy_speaks_for_its_sources_alone() -> None:
    assert _decide(egress()).allowed
    assert not _decide(egress(), account=OTHER).allowed


def test_the_same_source_twice_is_once() -> None:
    twice = egress(sources=(DEFAULT, DEFAULT))

    assert _plan(twice) == _plan(egress())


def test_policies_need_their_switch() -> None:
    mesh = _mesh(egress(), policies=False)

    assert not decide(outbound(mesh, DEFAULT), GET).allowed
    assert [p.reason for p in problems(mesh)] == [Reason.NOT_ENABLED]


def test_a_policy_may_live_in_another_namespace_of_the_mesh() -> None:
    assert _decide(egress(in_namespace="bank")).allowed


def test_a_policy_outside_the_mesh_has_no_effect_and_says_so() -> None:
    policy = egress(in_namespace="elsewhere")

    assert not _decide(policy).allowed
    assert [p.reason for p in _problems(policy)] == [Reason.NOT_IN_MESH]


def test_other_namespaces_can_be_forbidden() -> None:
    policy = egress(in_namespace="bank")
    held = _mesh(policy)
    strict = replace(held, cross_namespace_egress=False)

    assert not decide(outbound(strict, DEFAULT), GET).allowed
    assert [p.reason for p in problems(strict)] == [Reason.FORBIDDEN]


def test_a_missing_route_group_denies_what_it_would_have_allowed() -> None:
    policy = egress(route_groups=("get", "gone"))

    assert _decide(policy, route_group("get")).allowed
    assert not _decide(policy).allowed
    assert any("HTTPRouteGroup shop/gone does not exist" in p.message for p in _problems(policy))


def test_a_missing_setting_makes_the_policy_void() -> None:
    policy = egress(setting="limits")

    assert _decide(policy, setting()).allowed
    assert not _decide(policy).allowed
    assert any("does not exist: the Egress allows nothing" in p.message for p in _problems(policy))


def test_a_name_is_looked_up_and_a_range_keeps_the_address() -> None:
    named = _plan(egress(hosts=("a.test", "*.b.test")))
    ranged = _plan(egress(ranges=("10.0.0.0/8",)))

    assert [(e.name, e.resolution) for e in named.egress.targets] == [
        ("*.b.test:80", Resolution.PATTERN),
        ("a.test:80", Resolution.NAME),
    ]
    assert [(e.name, e.resolution) for e in ranged.egress.targets] == [("80", Resolution.ADDRESS)]


def test_the_older_of_two_settings_holds() -> None:
    old, new = (
        setting("old", created="2020-01-01T00:00:00Z"),
        setting("a", created="2021-01-01T00:00:00Z"),
    )
    first = egress("one", setting="old")
    second = egress("two", setting="a")
    plan = _plan(old, new, first, second)

    assert [e.settings for e in plan.egress.targets] == [old.settings]
    (lost,) = (p for p in _problems(old, new, first, second) if p.reason is Reason.CONFLICT)
    assert lost.object == new.ref
    assert "UpstreamTrafficSetting shop/old holds instead" in lost.message


def test_without_dates_the_name_decides() -> None:
    plan = _plan(
        setting("b", max_connections=2),
        setting("a", max_connections=1),
        egress("one", setting="b"),
        egress("two", setting="a"),
    )

    assert plan.egress.targets[0].settings.max_connections == 1


def test_a_setting_that_two_policies_share_is_no_conflict() -> None:
    held = (setting(), egress("one", setting="limits"), egress("two", setting="limits"))

    assert not [p for p in _problems(*held) if p.reason is Reason.CONFLICT]


def test_a_server_that_speaks_first_anywhere_is_not_kept_waiting_by_other_policies() -> None:
    """All that they allow on the port passes as bytes, to the address that is dialled."""
    mail = egress("mail", (25, Protocol.TCP_SERVER_FIRST), hosts=None)
    tls, http = egress("tls", (25, Protocol.HTTPS)), egress("http", (25, Protocol.HTTP))

    assert _plan(mail).egress.ports == _plan(mail, tls, http).egress.ports


def test_a_server_that_speaks_first_at_some_addresses_beside_https_is_a_problem() -> None:
    mail = egress("mail", (25, Protocol.TCP_SERVER_FIRST), hosts=None, ranges=["10.0.0.0/8"])
    tls, anywhere = egress("tls", (25, Protocol.HTTPS)), replace(mail, name="any", ranges=None)

    (waiting,) = _problems(mail, tls)
    assert (waiting.object, waiting.reason) == (mail.ref, Reason.CONFLICT)
    assert "port 25 of shop/default is https in Egress shop/tls" in waiting.message
    assert [] == _problems(mail) == _problems(mail, tls, anywhere)
