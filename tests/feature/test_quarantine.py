"""A bad resource on a real server: who gets it, who does not, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane
from support.resources import content_of, snapshot
from support.running_hub import Compose
from support.xds.stream import RawStream
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import ROUTES
from towpath.settings import RolloutSettings
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

BAD = "rds-outbound.bookstore/bookstore|7"
CURL, BOOKSTORE = "curl.curl", "bookstore-0.bookstore"
NAMES = [f"rds-outbound.bookstore/bookstore|{number}" for number in range(100)]


def _routes(contents: dict[str, str]) -> Compose:
    """Serve these to every pod; they change with what the mesh says of egress."""

    def compose(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        del kind
        if mesh.pod(sidecar) is None or mesh.config() is None:
            return None
        return snapshot({ROUTES: dict(contents)})

    return compose


async def _subscribed(stream: RawStream, node: str) -> None:
    await stream.say(ROUTES, node=node, resource_names=NAMES)
    first = await stream.hear()
    assert len(first.resources) == len(NAMES)
    await stream.say(ROUTES, node=node, resource_names=NAMES, response_nonce=first.nonce)


async def _take(
    stream: RawStream,
    node: str,
    held: dict[str, str],
    until: Callable[[dict[str, str]], bool],
    *,
    rejects: str = "",
) -> int:
    """Read until it is so; gives how often the content *rejects* came, which is rejected."""
    seen = 0
    while not until(held):
        told = await stream.hear()
        contents = dict(content_of(one) for one in told.resources)
        bad = [name for name, content in contents.items() if content == rejects]
        error = Status(code=13, message=f"{bad[0]}: invalid regex") if bad else None
        seen += len(bad)
        if not bad:
            held.update(contents)
        await stream.say(
            ROUTES,
            node=node,
            resource_names=NAMES,
            response_nonce=told.nonce,
            error_detail=error,
        )
    return seen


async def _problems(plane: ControlPlane) -> list[pb.Problem]:
    async with grpc.aio.insecure_channel(plane.address) as channel:
        answer = await pb_grpc.InspectorStub(channel).ListProblems(pb.ListProblemsRequest())
    return [problem for problem in answer.problems if problem.reason == "Rejected"]


async def test_one_bad_among_a_hundred(tmp_path: Path) -> None:
    contents = dict.fromkeys(NAMES, "1")
    async with (
        control_plane(tmp_path, compose=_routes(contents)) as plane,
        plane.stream() as one,
        plane.stream() as other,
        plane.stream() as fresh,
    ):
        await _subscribed(one, CURL)
        await _subscribed(other, BOOKSTORE)

        contents.update(dict.fromkeys(NAMES, "2") | {BAD: "bad"})
        plane.switch_egress(on=True)
        held: list[dict[str, str]] = [{}, {}]
        counts = [
            await _take(one, CURL, held[0], lambda got: len(got) == 99, rejects="bad"),
            await _take(other, BOOKSTORE, held[1], lambda got: len(got) == 99, rejects="bad"),
        ]

        assert [1, 1] == counts
        assert {"2"} == {content for each in held for content in each.values()}
        (problem,) = await _problems(plane)
        assert ("Service", "bookstore", "bookstore") == (
            problem.kind,
            problem.namespace,
            problem.name,
        )
        for word in (BAD, CURL, BOOKSTORE, "invalid regex"):
            assert word in problem.message

        await fresh.say(ROUTES, node=CURL, resource_names=NAMES)
        got = dict(content_of(packed) for packed in (await fresh.hear()).resources)
        assert "bad" not in got.values()
        assert "1" == got[BAD]  # what was there before

        contents[BAD] = "3"
        plane.switch_egress(on=False)
        await _take(one, CURL, held[0], lambda got: got.get(BAD) == "3")
        await _take(other, BOOKSTORE, held[1], lambda got: got.get(BAD) == "3")
        assert [] == await _problems(plane)


async def test_what_was_rejected_is_sent_again_when_its_quarantine_is_over(tmp_path: Path) -> None:
    contents = dict.fromkeys(NAMES, "1")
    async with (
        control_plane(
            tmp_path, compose=_routes(contents), rollout=RolloutSettings(quarantine_expiry=1.0)
        ) as plane,
        plane.stream() as one,
        plane.stream() as other,
    ):
        await _subscribed(one, CURL)
        await _subscribed(other, BOOKSTORE)
        contents[BAD] = "bad"
        plane.switch_egress(on=True)
        for stream, node in ((one, CURL), (other, BOOKSTORE)):
            told = await stream.hear()
            assert (BAD, "bad") in map(content_of, told.resources)
            await stream.say(
                ROUTES,
                node=node,
                resource_names=NAMES,
                response_nonce=told.nonce,
                error_detail=Status(code=13, message=f"{BAD}: not yet"),
            )

        # Nothing else changes meanwhile, and now both take it.
        for stream, node in ((one, CURL), (other, BOOKSTORE)):
            await _take(stream, node, {}, lambda got: got.get(BAD) == "bad")
        assert [] == await _problems(plane)
