"""Status: accepted, in conflict, and by how many of the sidecars concerned acknowledged."""

from __future__ import annotations

from functools import partial

import pytest

from support.objects import (
    egress,
    endpoint_slice,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    retry,
    route_group,
    service,
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from towpath.answers.effect import Effect, Policy, effect, on_the_way
from towpath.answers.status import Counts, PolicyStatus, policy_statuses
from towpath.model.inmesh import RouteReference, TCPRoute
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, Kind, ObjectRef, SidecarId
from towpath.planning import problems
from towpath.rollout.records import State, StreamRecord

DEFAULT, WEB = Account("shop", "default"), Account("shop", "web")
OUTSIDE = Account("bank", "default")
PORTS = RouteReference(Kind.TCP_ROUTE, "ports")


def _mesh(*objects: Object) -> Mesh:
    return mesh_of(namespace("shop"), mesh_config(policies=True), *objects)


def _stream(
    pod: str,
    *,
    snapshot: str = "now",
    settled: bool = True,
    kind: ClientKind = ClientKind.ENVOY,
    account: Account = DEFAULT,
) -> StreamRecord:
    sidecar = SidecarId(pod, "shop")
    return StreamRecord(
        stream=1,
        peer="",
        node_id=str(sidecar),
        sidecar=sidecar,
        kind=kind,
        variant="delta",
        connected_at=0,
        state=State.SERVING,
        account=account,
        snapshot=snapshot,
        settled=settled,
    )


def _closed(*objects: Object) -> Mesh:
    """The mesh without permissive mode: `default` calls, the pods of `web` are called."""
    return mesh_of(
        namespace("shop"),
        mesh_config(permissive=False),
        service("web"),
        endpoint_slice("web", "10.0.0.1"),
        pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("caller", app="caller", addresses=("10.0.0.2",)),
        *objects,
    )


def _statuses(mesh: Mesh, *streams: StreamRecord) -> dict[str, PolicyStatus]:
    changed_at = 5

    def effect_of(policy: Policy) -> tuple[Effect, int]:
        return effect(mesh, policy.kind, policy.namespace, policy.name), changed_at

    statuses = policy_statuses(
        mesh,
        problems(mesh),
        streams,
        effect_of,
        lambda _: "now",
        policies_before=partial(on_the_way, mesh),
    )
    return {str(status.ref): status for status in statuses}


def test_a_good_policy_is_accepted_and_counts_its_sidecars() -> None:
    streams = (_stream("a"), _stream("b", snapshot="before"), _stream("c", settled=False))
    status = _statuses(_mesh(egress()), *streams)["Egress shop/out"]

    assert status.accepted
    assert (status.counts.acknowledged, status.counts.affected) == (1, 3)


def test_a_rejection_is_no_acknowledgement() -> None:
    stream = _stream("a")
    stream.of("type").rejected = object()  # type: ignore[assignment]
    status = _statuses(_mesh(egress()), stream)["Egress shop/out"]

    assert status.counts == Counts(affected=1, acknowledged=0, rejecting=1)


def test_what_comes_after_a_policys_last_change_does_not_count() -> None:
    since, before = _stream("a", snapshot="older"), _stream("b", snapshot="older")
    since.acknowledged_through, before.acknowledged_through = 5, 4
    status = _statuses(_mesh(egress()), since, before)["Egress shop/out"]

    assert status.counts == Counts(affected=2, acknowledged=1)


def test_a_sidecar_with_several_streams_is_one_that_has_accepted_what_all_of_them_have() -> None:
    one, other = _stream("a"), _stream("a", snapshot="before")
    status = _statuses(_mesh(egress()), one, other, _stream("b"), _stream("b"))["Egress shop/out"]

    assert status.counts == Counts(affected=2, acknowledged=1)


def test_other_accounts_do_not_count() -> None:
    policy = egress(sources=(Account("shop", "other"),))
    status = _statuses(_mesh(policy), _stream("a"))["Egress shop/out"]

    assert status.counts.affected == 0


def test_a_client_that_cannot_hold_a_policy_does_not_count() -> None:
    streams = (_stream("a"), _stream("b", kind=ClientKind.GRPC))
    status = _statuses(_mesh(egress()), *streams)["Egress shop/out"]

    assert status.counts == Counts(affected=1, acknowledged=1)


def test_a_policy_that_opens_nothing_is_not_accepted() -> None:
    held = (egress("void", setting="gone"), egress("empty", route_groups=("gone",)))
    statuses = _statuses(_mesh(*held))

    assert not statuses["Egress shop/void"].accepted
    assert not statuses["Egress shop/empty"].accepted
    assert statuses["Egress shop/empty"].problems


def test_a_part_that_works_is_enough() -> None:
    held = egress(route_groups=("get", "gone"))

    assert _statuses(_mesh(held, route_group()))["Egress shop/out"].accepted


def test_a_setting_that_lost_is_in_conflict() -> None:
    held = (setting("a"), setting("b", max_connections=9))
    policies = (egress("one", setting="a"), egress("two", setting="b"))
    statuses = _statuses(_mesh(*held, *policies), _stream("a"))

    assert not statuses["UpstreamTrafficSetting shop/a"].in_conflict
    assert statuses["UpstreamTrafficSetting shop/b"].in_conflict
    assert statuses["UpstreamTrafficSetting shop/b"].counts.affected == 1


def test_a_target_is_in_force_at_the_sidecars_of_both_ends() -> None:
    target = traffic_target("may", sources=(DEFAULT, Account("bank", "default")))
    streams = (_stream("a"), _stream("web-1", account=WEB, snapshot="before"))
    others = (_stream("b", account=Account("shop", "x")), _stream("c", account=OUTSIDE))
    statuses = _statuses(_closed(target, route_group()), *streams, *others)

    status = statuses["TrafficTarget shop/may"]
    assert status.accepted
    assert Counts(affected=2, acknowledged=1) == status.counts
    assert statuses["HTTPRouteGroup shop/get"].accepted
    assert status.counts == statuses["HTTPRouteGroup shop/get"].counts


@pytest.mark.parametrize(
    "objects",
    [
        (traffic_target("t", closed=True, sources=(DEFAULT,)),),
        (traffic_target("t", sources=()),),
        (traffic_target("t", sources=(OUTSIDE,)),),
        (traffic_target("t", RouteReference(Kind.HTTP_ROUTE_GROUP, "gone"), sources=(DEFAULT,)),),
        (
            traffic_target("t", PORTS, sources=(DEFAULT,)),
            TCPRoute("shop", "ports", ()),
        ),
        (
            traffic_target("t", PORTS, RouteReference(Kind.HTTP_ROUTE_GROUP, "get")),
            TCPRoute("shop", "ports", ()),
        ),
    ],
)
def test_a_target_that_grants_nothing_is_not_accepted(objects: tuple[Object, ...]) -> None:
    statuses = _statuses(_closed(*objects, route_group()))

    assert not statuses["TrafficTarget shop/t"].accepted


def test_in_permissive_mode_a_target_is_not_accepted_and_a_split_is() -> None:
    split = traffic_split("half", ("web", 1))
    target = traffic_target("may", sources=(DEFAULT,))
    objects = (split, target, route_group(), service("web"), endpoint_slice("web", "10.0.0.1"))
    mesh = mesh_of(namespace("shop"), mesh_config(), *objects)
    statuses = _statuses(mesh, _stream("a"), _stream("web-1", account=WEB))

    assert not statuses["TrafficTarget shop/may"].accepted
    assert not statuses["HTTPRouteGroup shop/get"].accepted
    assert statuses["TrafficSplit shop/half"].accepted
    assert 2 == statuses["TrafficSplit shop/half"].counts.affected


def test_a_split_counts_who_may_call_its_root() -> None:
    target = traffic_target("may", sources=(DEFAULT,))
    split = traffic_split("half", ("web", 1), route_groups=("get",))
    streams = (_stream("a"), _stream("web-1", account=WEB))
    statuses = _statuses(_closed(target, split, route_group()), *streams)

    assert 1 == statuses["TrafficSplit shop/half"].counts.affected
    assert 2 == statuses["HTTPRouteGroup shop/get"].counts.affected


def test_a_split_that_divides_nothing_is_not_accepted() -> None:
    newer = traffic_split("newer", ("web", 1), created="2")
    older = traffic_split("older", ("web", 1), created="1")
    rootless = traffic_split("rootless", ("web", 1), root="gone")
    statuses = _statuses(_closed(newer, older, rootless), _stream("a"))

    accepted = {name: status.accepted for name, status in statuses.items()}
    assert {
        "TrafficSplit shop/newer": False,
        "TrafficSplit shop/older": True,
        "TrafficSplit shop/rootless": False,
    } == accepted
    assert statuses["TrafficSplit shop/newer"].in_conflict


def test_a_route_of_ports_is_accepted_where_a_target_grants_by_it() -> None:
    target = traffic_target("may", PORTS, sources=(DEFAULT,))
    statuses = _statuses(_closed(target, tcp_route("ports", 8080), tcp_route("alone", 8080)))

    assert statuses["TCPRoute shop/ports"].accepted
    assert not statuses["TCPRoute shop/alone"].accepted


@pytest.mark.parametrize(("permissive", "affected"), [(True, 2), (False, 1)])
def test_a_setting_of_a_service_counts_its_pods_and_who_may_call_it(
    *, permissive: bool, affected: int
) -> None:
    limits = setting("limits", service="web")
    streams = (_stream("caller"), _stream("web-1", account=WEB))
    statuses = _statuses(_calling(limits, permissive=permissive), *streams)

    assert statuses["UpstreamTrafficSetting shop/limits"].accepted
    assert affected == statuses["UpstreamTrafficSetting shop/limits"].counts.affected


def test_a_setting_of_a_service_that_does_not_hold_is_not_accepted() -> None:
    older = setting("older", service="web", created="1")
    newer = setting("newer", service="web", created="2")
    closed = setting("closed", service="web", created="0", closed=True)
    gone = setting("gone", service="gone")

    for settings, held in (((older, newer, gone), {"older"}), ((closed, older), set())):
        statuses = _statuses(_calling(*settings), _stream("caller"))
        accepted = {one.ref.name for one in statuses.values() if one.accepted}
        assert held == accepted


def test_a_retry_counts_its_source_and_is_accepted_where_it_holds() -> None:
    older, newer = retry("older", source="default"), retry("newer", source="default", created="1")
    streams = (_stream("caller"), _stream("web-1", account=WEB))
    statuses = _statuses(_calling(older, newer), *streams)

    assert {"Retry shop/older"} == {name for name, one in statuses.items() if one.accepted}
    assert statuses["Retry shop/newer"].in_conflict
    assert 1 == statuses["Retry shop/older"].counts.affected


def test_an_ingress_backend_counts_the_pods_behind_its_backends() -> None:
    policies = (ingress_backend("in", ranges=("192.0.2.0/24",)), ingress_backend("nobody"))
    streams = (_stream("caller"), _stream("web-1", account=WEB))
    statuses = _statuses(_calling(*policies), *streams)

    assert {"IngressBackend shop/in"} == {name for name, one in statuses.items() if one.accepted}
    assert 1 == statuses["IngressBackend shop/in"].counts.affected


def _calling(*objects: Object, permissive: bool = True) -> Mesh:
    """The same pods, with Retries and IngressBackends on."""
    return mesh_of(
        namespace("shop"),
        mesh_config(permissive=permissive, retries=True, ingress=True),
        service("web"),
        endpoint_slice("web", "10.0.0.1"),
        pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("caller", app="caller", addresses=("10.0.0.2",)),
        *objects,
    )


def test_sidecars_are_gone_through_only_when_everything_else_is_known() -> None:
    class NotYetError(Exception):
        """A slice is over: whoever asks will ask again from the beginning."""

    mesh = _mesh(egress())
    current: list[StreamRecord] = []

    def unfinished(_: object) -> tuple[Effect, int]:
        raise NotYetError

    def before(_: Account) -> frozenset[ObjectRef]:
        raise NotYetError

    for effect_of, policies_before in (
        (unfinished, lambda _: frozenset[ObjectRef]()),
        (lambda _: (Effect(), 0), before),
    ):
        with pytest.raises(NotYetError):
            policy_statuses(
                mesh,
                (),
                (_stream("a"),),
                effect_of,
                lambda record: current.append(record) or "now",  # type: ignore[func-returns-value]
                policies_before=policies_before,
            )

    assert [] == current
