"""The Inspector: what each sidecar was sent and answered, what it is to hold, what is wrong."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
import pytest

from support.objects import mesh_config, namespace, pod, service
from support.resources import resource
from support.running_hub import RunningHub
from towpath.admin.inspector import Inspector
from towpath.model.names import ClientKind, SidecarId
from towpath.model.types import CLUSTER, LISTENER, SHORT_NAMES
from towpath_api.v1 import inspector_pb2 as pb

MESH = (namespace(), mesh_config(egress=True), service("web"), pod("curl", app="curl"))


class AbortedError(Exception):
    """What the client would be told instead of an answer."""


class Context:
    """As much of gRPC's context as the Inspector uses."""

    async def abort(self, status: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(status, details)


CONTEXT: Any = Context()


async def test_sidecars_are_listed_with_what_each_was_sent_and_answered(
    running: RunningHub,
) -> None:
    await running.holds(*MESH)
    records = running.hub.records
    stream = running.attach("curl", variant="delta")
    names = ("a", "b")
    records.sent(stream.record, LISTENER, version="1", names=names)
    records.acknowledged(stream.record, LISTENER, version="1")
    records.sent(stream.record, CLUSTER, version="2", names=names)
    records.rejected(stream.record, CLUSTER, version="2", names=("b",), message="no")

    answer = await Inspector(running.hub).ListSidecars(pb.ListSidecarsRequest(), CONTEXT)

    (sidecar,) = answer.sidecars
    assert (sidecar.stream_id, sidecar.peer, sidecar.node_id) == (1, "test", "curl.shop")
    assert (sidecar.pod, sidecar.namespace, sidecar.service_account) == ("curl", "shop", "default")
    assert sidecar.client_kind == pb.Sidecar.ENVOY
    assert sidecar.variant == pb.Sidecar.DELTA
    assert sidecar.state == pb.Sidecar.SERVING
    assert sidecar.connected_at.seconds == 1000
    clusters, listeners = sidecar.deliveries
    assert (clusters.type_url, listeners.type_url) == (CLUSTER, LISTENER)
    assert (listeners.sent.version, listeners.sent.at.seconds) == ("1", 1001)
    assert listeners.sent.resource_count == 2
    assert listeners.acknowledged.version == "1"
    assert not listeners.HasField("rejected")
    assert not clusters.HasField("acknowledged")
    assert (clusters.rejected.version, clusters.rejected.message) == ("2", "no")
    assert list(clusters.rejected.resource_names) == ["b"]
    assert (clusters.responses, clusters.acknowledgements, clusters.rejections) == (1, 0, 1)


async def test_a_sidecar_that_waits_for_its_pod_is_listed_as_waiting(running: RunningHub) -> None:
    await running.holds(*MESH)
    running.attach("late")

    (sidecar,) = (
        await Inspector(running.hub).ListSidecars(pb.ListSidecarsRequest(), CONTEXT)
    ).sidecars

    assert sidecar.state == pb.Sidecar.WAITING_FOR_POD
    assert sidecar.variant == pb.Sidecar.SOTW
    assert sidecar.service_account == ""


async def test_sidecars_are_sorted_and_can_be_asked_for_by_node(running: RunningHub) -> None:
    await running.holds(*MESH)
    for name in ("web", "curl", "web"):
        running.attach(name)
    inspector = Inspector(running.hub)

    everyone = await inspector.ListSidecars(pb.ListSidecarsRequest(), CONTEXT)
    some = await inspector.ListSidecars(pb.ListSidecarsRequest(node_id="web.shop"), CONTEXT)

    assert [(s.node_id, s.stream_id) for s in everyone.sidecars] == [
        ("curl.shop", 2),
        ("web.shop", 1),
        ("web.shop", 3),
    ]
    assert [s.stream_id for s in some.sidecars] == [1, 3]


async def test_a_snapshot_is_what_the_sidecar_is_to_hold(running: RunningHub) -> None:
    await running.holds(*MESH)
    held = running.hub.snapshot(ClientKind.ENVOY, SidecarId(pod="curl", namespace="shop"))
    assert held is not None

    answer = await Inspector(running.hub).GetSnapshot(
        pb.GetSnapshotRequest(node_id="curl.shop"), CONTEXT
    )

    assert answer.version == held.version
    assert {one.type_url: one.version for one in answer.types} == {
        type_url: one.version for type_url, one in held.sets.items()
    }
    assert {
        (one.type_url, r.name): (r.version, r.resource.SerializeToString())
        for one in answer.types
        for r in one.resources
    } == {
        (type_url, name): (r.version, r.packed)
        for type_url in SHORT_NAMES
        for name, r in held.of(type_url).items()
    }


async def test_a_snapshot_can_be_asked_for_by_type(running: RunningHub) -> None:
    await running.holds(*MESH)
    request = pb.GetSnapshotRequest(node_id="curl.shop", type_urls=[LISTENER, "unknown", LISTENER])

    answer = await Inspector(running.hub).GetSnapshot(request, CONTEXT)

    assert [(one.type_url, len(one.resources)) for one in answer.types] == [
        (LISTENER, 2),
        ("unknown", 0),
    ]


async def test_a_snapshot_can_be_asked_for_as_another_kind_of_client(running: RunningHub) -> None:
    await running.holds(*MESH)
    request = pb.GetSnapshotRequest(
        node_id="curl.shop", client_kind=pb.Sidecar.GRPC, type_urls=[CLUSTER]
    )

    answer = await Inspector(running.hub).GetSnapshot(request, CONTEXT)

    assert [[r.name for r in one.resources] for one in answer.types] == [["shop/web|80"]]


async def test_a_kind_of_client_that_nobody_knows_is_refused(running: RunningHub) -> None:
    await running.holds(*MESH)
    request = pb.GetSnapshotRequest.FromString(b"\x0a\x09curl.shop\x18\x63")

    with pytest.raises(AbortedError) as raised:
        await Inspector(running.hub).GetSnapshot(request, CONTEXT)

    assert raised.value.args[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert "99" in raised.value.args[1]


@pytest.mark.parametrize(
    ("node_id", "status", "said"),
    [
        ("nobody.shop", grpc.StatusCode.NOT_FOUND, "no Pod shop/nobody in the mesh"),
        ("curl", grpc.StatusCode.INVALID_ARGUMENT, "'curl' is not of the form <pod>.<namespace>"),
    ],
)
async def test_a_snapshot_that_does_not_exist_is_refused_with_the_reason(
    running: RunningHub, node_id: str, status: grpc.StatusCode, said: str
) -> None:
    await running.holds(*MESH)

    with pytest.raises(AbortedError) as raised:
        await Inspector(running.hub).GetSnapshot(pb.GetSnapshotRequest(node_id=node_id), CONTEXT)

    assert raised.value.args[0] == status
    assert said in raised.value.args[1]


async def test_there_is_no_snapshot_before_everything_is_listed(running: RunningHub) -> None:
    with pytest.raises(AbortedError) as raised:
        await Inspector(running.hub).GetSnapshot(
            pb.GetSnapshotRequest(node_id="curl.shop"), CONTEXT
        )

    assert raised.value.args[0] == grpc.StatusCode.UNAVAILABLE


async def test_problems_are_listed_field_by_field(running: RunningHub) -> None:
    await running.holds(namespace(), mesh_config(), service("manual", selector={}))

    answer = await Inspector(running.hub).ListProblems(pb.ListProblemsRequest(), CONTEXT)

    (problem,) = answer.problems
    assert (problem.kind, problem.namespace, problem.name) == ("Service", "shop", "manual")
    assert (problem.field, problem.reason) == ("spec.selector", "Missing")
    assert problem.message
    assert problem.source == ""


def test_a_resource_in_a_snapshot_is_the_packed_one() -> None:
    """`resource` in the answer is the Any itself, not an Any within an Any."""
    held = resource(LISTENER, "a", "1")

    message = pb.SnapshotResource()
    message.resource.ParseFromString(held.packed)

    assert message.resource.type_url == LISTENER
