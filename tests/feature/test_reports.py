"""Sidecars that report what leaves: whose reports count, and what hostile ones can cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry, TCPAccessLogEntry
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage

from support.certificates import Certificates
from support.control_plane import ControlPlane, bearer, control_plane, with_uid
from support.samples import sample
from support.tokens import Issuer
from support.xds.client import sotw
from towpath.model.types import LISTENER
from towpath.reports import REPORTS_SERVICE
from towpath.reports.service import MOST_STREAMS_OF_POD
from towpath.settings import StreamLimits
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc
from towpath_client import TlsFiles

pytestmark = pytest.mark.usefixtures("transport")

METHOD = f"/{REPORTS_SERVICE}/StreamAccessLogs"
DENIED = grpc.StatusCode.PERMISSION_DENIED
INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
OTHER_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: curl}
spec:
  serviceAccountName: other
  containers: [{name: other, image: other}]
"""


def observed(folder: Path) -> None:
    """Have sidecars report."""
    edit_observation(folder, "reports")


def edit_observation(folder: Path, value: str) -> None:
    path = folder / "meshconfig.yaml"
    document = yaml.safe_load(path.read_text())
    document["spec"].setdefault("observability", {})["observeEgress"] = value
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(document))
    fresh.replace(path)


def entry(host: str = "a.example.org", *, address: str = "192.0.2.7") -> TCPAccessLogEntry:
    """A connection that passthrough has let out."""
    result = TCPAccessLogEntry()
    common = result.common_properties
    common.custom_tags.update({"log": "connection", "chain": "outbound-egress-filter-chain"})
    common.downstream_local_address.socket_address.address = address
    common.downstream_local_address.socket_address.port_value = 443
    common.tls_properties.tls_sni_hostname = host
    common.upstream_cluster = "passthrough-outbound"
    return result


def refusal(caller: str, *, peer: str = "", enforced: str = "") -> TCPAccessLogEntry:
    """A request of that address into the pod of the demo's curl."""
    result = TCPAccessLogEntry()
    common = result.common_properties
    tags = {"log": "refusal", "method": "GET", "peer": peer, "enforced": enforced}
    common.custom_tags.update(tags)
    common.downstream_direct_remote_address.socket_address.address = caller
    common.downstream_direct_remote_address.socket_address.port_value = 40000
    common.downstream_local_address.socket_address.address = "10.10.0.2"
    common.downstream_local_address.socket_address.port_value = 8080
    return result


def message(*entries: TCPAccessLogEntry, node: str = "curl.curl") -> bytes:
    result = StreamAccessLogsMessage()
    result.identifier.node.id = node
    result.tcp_logs.log_entry.extend(entries)
    return bytes(result.SerializeToString())


async def ending(
    channel: grpc.aio.Channel, messages: Iterable[bytes], *, shown: Any = ()
) -> grpc.StatusCode:
    """What a stream of these messages ends with.

    A single one as one write: see `support.calls`.
    """
    whole = list(messages)
    method: Any = channel.unary_unary(METHOD) if len(whole) == 1 else channel.stream_unary(METHOD)
    calling = method(whole[0] if len(whole) == 1 else iter(whole), metadata=shown)
    async with asyncio.timeout(60):
        status: grpc.StatusCode = await calling.code()
        return status


async def flows(plane: ControlPlane, tls: TlsFiles | None = None, **asked: Any) -> list[pb.Flow]:
    async with plane.channel(tls) as channel:
        stub = pb_grpc.InspectorStub(channel)  # type: ignore[no-untyped-call, unused-ignore]
        responses = stub.WatchFlows(pb.WatchFlowsRequest(**asked))
        return [flow async for response in responses for flow in response.flows]


@asynccontextmanager
async def serving(
    tmp_path: Path, *, edit: Callable[[Path], None] = observed, **options: Any
) -> AsyncIterator[ControlPlane]:
    async with control_plane(tmp_path, edit=edit, **options) as plane:
        yield plane


async def test_what_a_sidecar_reports_is_added_up_for_its_account(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        sent = [message(entry(), entry()), message(entry(), entry("b.example.org"), node="")]
        status = await ending(channel, sent)
        reported = await flows(plane)

    assert grpc.StatusCode.OK is status
    assert [("curl/curl", "b.example.org", 1), ("curl/curl", "a.example.org", 3)] == [
        (flow.service_account, flow.host, flow.count) for flow in reported
    ]
    assert all(flow.passthrough and flow.verdict == pb.Flow.ALLOW for flow in reported)


async def test_what_would_be_refused_inside_is_that_of_the_caller_and_stays_apart(
    tmp_path: Path,
) -> None:
    certified = "spiffe://cluster.local/ns/shop/sa/web.front"
    sent = message(
        refusal("10.10.0.3"),
        refusal("10.10.0.3"),
        refusal("10.10.0.3", enforced="denied"),
        refusal("192.0.2.9"),
        refusal("192.0.2.9", peer=certified),
        refusal("::1"),
        refusal("192.0.2.9", peer="spiffe://x/ns/../sa/x"),
        entry(),
    )
    async with serving(tmp_path) as plane, plane.channel() as channel:
        await ending(channel, [sent])
        inside, denied = await flows(plane, inside=True), await flows(plane, inside=True, denied=1)
        outside = await flows(plane)

    def key(flow: pb.Flow) -> tuple[Any, ...]:
        verdict = pb.Flow.Verdict.Name(flow.verdict)
        return flow.service_account, flow.pod_address, flow.host, flow.port, verdict, flow.count

    called = ("curl/curl", 8080)
    assert {
        ("bookstore/bookstore", "", *called, "WOULD_DENY", 2),
        ("bookstore/bookstore", "", *called, "DENY", 1),
        ("", "192.0.2.9", *called, "WOULD_DENY", 2),
        ("shop/web.front", "", *called, "WOULD_DENY", 1),
        ("", "", *called, "WOULD_DENY", 1),
    } == {key(flow) for flow in inside}
    assert ["DENY"] == [pb.Flow.Verdict.Name(flow.verdict) for flow in denied]
    assert ["a.example.org"] == [flow.host for flow in outside]


async def test_flows_are_chosen_on_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        await ending(channel, [message(entry())])
        chosen = [
            len(await flows(plane, service_account="curl/curl")),
            len(await flows(plane, service_account="curl/other")),
            len(await flows(plane, denied=True)),
        ]
        with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
            await flows(plane, service_account="curl")

    assert [1, 0, 0] == chosen


async def test_who_follows_is_told_of_what_is_new(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        await ending(channel, [message(entry())])
        stub = pb_grpc.InspectorStub(channel)  # type: ignore[no-untyped-call, unused-ignore]
        following = stub.WatchFlows(pb.WatchFlowsRequest(follow=True))
        counts = []
        async with asyncio.timeout(60):
            async for response in following:
                counts += [flow.count for flow in response.flows]
                if response.complete:
                    await ending(channel, [message(entry())])
                if len(counts) == 2:
                    break
        following.cancel()

    assert [1, 2] == counts


async def test_while_nobody_observes_no_report_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path, edit=lambda _: None) as plane, plane.channel() as channel:
        status = await ending(channel, [message(entry())])
        reported = await flows(plane)

    assert grpc.StatusCode.FAILED_PRECONDITION is status
    assert [] == reported


async def test_a_stream_ends_when_nobody_observes_any_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        edited = asyncio.Event()

        async def messages() -> AsyncIterator[bytes]:
            yield message(entry())
            edit_observation(plane.folder, "disabled")
            edited.set()
            while True:
                await asyncio.sleep(0.05)
                yield message(entry())

        stream: Any = channel.stream_unary(METHOD)
        async with asyncio.timeout(60):
            status = await stream(messages()).code()

    assert edited.is_set()
    assert grpc.StatusCode.FAILED_PRECONDITION is status


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([b"\xff\xff\xff"], INVALID),
        ([message(node="")], INVALID),
        ([message(node="curl")], INVALID),
        ([message(node="CURL.curl")], INVALID),
        ([message(), b"\xff"], INVALID),
        ([message(node="nobody.curl")], grpc.StatusCode.UNAVAILABLE),
        ([message(), message(node="other.curl")], DENIED),
        ([message(*[entry("x" * 250)] * 1_000)], EXHAUSTED),
    ],
)
async def test_garbage_ends_the_stream(
    tmp_path: Path, messages: list[bytes], status: grpc.StatusCode
) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        ended = await ending(channel, messages)
        assert 0 == sample(plane.metrics, "towpath_report_streams")

    assert status is ended


async def test_entries_that_say_nothing_are_counted_and_the_rest_is_taken(tmp_path: Path) -> None:
    odd = [entry(address=text) for text in ("", "a.example.org", "::1", "\x1b[2J")]
    odd += [TCPAccessLogEntry(), entry()]
    odd[-1].common_properties.custom_tags["log"] = "audit"
    http = StreamAccessLogsMessage()
    http.http_logs.log_entry.append(HTTPAccessLogEntry())
    async with serving(tmp_path) as plane, plane.channel() as channel:
        await ending(channel, [message(*odd, entry()), bytes(http.SerializeToString())])
        reported = await flows(plane)
        unused = sample(plane.metrics, "towpath_reports_total", verdict="unused")

    assert ["a.example.org"] == [flow.host for flow in reported]
    assert len(odd) == unused


async def test_a_certificate_reports_for_its_own_account_alone(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    jo = "spiffe://cluster.local/person/jo"
    person = certificates.issue("jo", uris=(jo,))

    def with_another(folder: Path) -> None:
        observed(folder)
        (folder / "other.yaml").write_text(OTHER_POD)

    options: dict[str, Any] = {"tls": certificates.server(), "people": frozenset({jo})}
    async with serving(tmp_path, edit=with_another, **options) as plane:
        results = []
        for account, node in (
            ("curl", "curl.curl"),
            ("curl", "other.curl"),
            ("other", "curl.curl"),
            ("other", "other.elsewhere"),
        ):
            async with plane.channel(certificates.sidecar("curl", account)) as channel:
                results.append(await ending(channel, [message(entry(), node=node)]))
        async with plane.channel(person) as channel:
            results.append(await ending(channel, [message(entry())]))
        reported = await flows(plane, person)

    assert [grpc.StatusCode.OK, DENIED, DENIED, DENIED, DENIED] == results
    assert [("curl/curl", 1)] == [(flow.service_account, flow.count) for flow in reported]


async def test_a_token_reports_for_its_own_pod_alone(tmp_path: Path) -> None:
    certificates, issuer = Certificates(tmp_path), Issuer()
    tls = certificates.server()

    def edit(folder: Path) -> None:
        observed(folder)
        with_uid("uid-1")(folder)
        (folder / "other.yaml").write_text(
            OTHER_POD.replace("serviceAccountName: other", "serviceAccountName: curl")
        )

    async with (
        serving(tmp_path, edit=edit, tls=tls, issuer=issuer) as plane,
        plane.channel(tls, by_token=True) as channel,
    ):
        good = bearer(issuer.token(uid="uid-1"))
        results = [
            await ending(channel, [message(entry())], shown=good),
            await ending(channel, [message(entry(), node="other.curl")], shown=good),
            await ending(channel, [message(entry())], shown=bearer(issuer.token(uid="uid-0"))),
            await ending(channel, [message(entry())]),
        ]
        name, by = "towpath_access_refused_total", {"audience": "sidecars"}
        reasons = {
            r: sample(plane.metrics, name, **by, reason=r) for r in ("other-pod", "other-uid")
        }

    assert {"other-pod": 1, "other-uid": 1} == reasons
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    assert [grpc.StatusCode.OK, DENIED, DENIED, unauthenticated] == results


async def test_a_flood_is_shed_and_counted_and_pushes_go_on(tmp_path: Path) -> None:
    limits = StreamLimits(report_share=0.001)
    large = message(*[entry(f"{number}.example.org") for number in range(500)])
    async with (
        serving(tmp_path, limits=limits) as plane,
        plane.channel() as channel,
        sotw(plane.address, "curl.curl") as sidecar,
    ):
        await sidecar.ack(await sidecar.get(LISTENER))

        async def flood() -> AsyncIterator[bytes]:
            while True:
                yield large

        stream: Any = channel.stream_unary(METHOD)
        flooding = [stream(flood()) for _ in range(3)]
        shed = 0.0
        async with asyncio.timeout(100):
            while not shed:
                await asyncio.sleep(0.01)
                shed = sample(plane.metrics, "towpath_report_messages_total", result="shed")
            plane.switch_egress(on=True)
            pushed = await sidecar.hear()
        for one in flooding:
            one.cancel()
        read = sample(plane.metrics, "towpath_report_messages_total", result="read")
        reported = await flows(plane)

    assert LISTENER == pushed.type_url
    assert 0 < read < 100
    assert 500 == len(reported)


async def test_a_pod_has_so_many_streams_and_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as plane, plane.channel() as channel:
        done = asyncio.Event()

        async def silent() -> AsyncIterator[bytes]:
            yield message()
            await done.wait()

        stream: Any = channel.stream_unary(METHOD)
        open_streams = [stream(silent()) for _ in range(MOST_STREAMS_OF_POD)]
        async with asyncio.timeout(60):
            while sample(plane.metrics, "towpath_report_streams") < MOST_STREAMS_OF_POD:
                await asyncio.sleep(0.01)
            one_more = await ending(channel, [message()])
            done.set()
            statuses = [await one.code() for one in open_streams]

    assert EXHAUSTED is one_more
    assert {grpc.StatusCode.OK} == set(statuses)


async def test_who_says_nothing_is_let_go(tmp_path: Path) -> None:
    limits = StreamLimits(first_request_wait=0.2)
    async with serving(tmp_path, limits=limits) as plane, plane.channel() as channel:

        async def silent() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        stream: Any = channel.stream_unary(METHOD)
        async with asyncio.timeout(60):
            assert EXHAUSTED is await stream(silent()).code()
