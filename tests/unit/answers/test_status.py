"""Status: accepted, in conflict, and by how many of the sidecars concerned acknowledged."""

from __future__ import annotations

from support.objects import egress, mesh_config, mesh_of, namespace, route_group, setting
from towpath.answers.status import Counts, PolicyStatus, effect, policy_statuses
from towpath.model.egress import Egress
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.planning import problems
from towpath.planning.egress.rules import Rule
from towpath.rollout.records import State, StreamRecord

DEFAULT = Account("shop", "default")


def _mesh(*objects: Object) -> Mesh:
    return mesh_of(namespace("shop"), mesh_config(policies=True), *objects)


def _stream(
    pod: str,
    *,
    snapshot: str = "now",
    settled: bool = True,
    kind: ClientKind = ClientKind.ENVOY,
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
        account=DEFAULT,
        snapshot=snapshot,
        settled=settled,
    )


def _statuses(mesh: Mesh, *streams: StreamRecord) -> dict[str, PolicyStatus]:
    changed_at = 5

    def effect_of(policy: Egress) -> tuple[tuple[Rule, ...], int]:
        return effect(mesh, policy.namespace, policy.name), changed_at

    found = policy_statuses(mesh, problems(mesh), streams, effect_of, lambda _: "now")
    return {str(status.ref): status for status in found}


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
