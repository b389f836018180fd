"""Both transports, where a user could tell them apart: what is served, refused, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from support.attacks import heard, request, reset, speaking
from support.certificates import Certificates
from support.control_plane import control_plane
from support.xds.process import ServerProcess
from towpath.access import Audience, Gate
from towpath.access.doorkeeper import Room
from towpath.app.ports import Ports
from towpath.app.transport import Transport, new_transport
from towpath.model.types import CLUSTER
from towpath.settings import ConnectionLimits
from towpath.telemetry.metrics import Metrics

pytestmark = pytest.mark.usefixtures("transport")

SERVICE = "test.Echo"
WITHIN_S = 60.0


class Echo:
    """Says back what it hears, and notes how its calls end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.begun = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.written = 0

    async def each(self, requests: AsyncIterator[bytes], context: Any) -> None:
        self.begun.set()
        try:
            async for request in requests:
                await context.write(request)
                self.written += 1
                await self.reading.wait()
        finally:
            self.ended.set()

    async def flood(self, _: bytes, context: Any) -> None:
        for _number in range(1000):
            await context.write(bytes(100_000))
            self.written += 1

    async def fail(self, _: bytes, __: Any) -> bytes:
        raise RuntimeError("by intent")

    async def fail_oddly(self, _: bytes, __: Any) -> bytes:
        raise RuntimeError("by intent: \udc80")

    async def stubborn(self, _: AsyncIterator[bytes], context: Any) -> None:
        """Goes on to write when its call is over."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                for _number in range(3):
                    await context.write(bytes(100_000))
            finally:
                self.ended.set()

    async def told(self, _: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("a", "text"), ("b-bin", b"\0\xff")))
        pairs = sorted((k, v) for k, v in context.invocation_metadata() if k.startswith("x-"))
        return repr(pairs).encode()

    def handler(self) -> grpc.GenericRpcHandler:
        methods: Any = {
            "Each": grpc.stream_stream_rpc_method_handler(self.each),
            "Flood": grpc.unary_stream_rpc_method_handler(self.flood),
            "FailOddly": grpc.unary_unary_rpc_method_handler(self.fail_oddly),
            "Stubborn": grpc.stream_stream_rpc_method_handler(self.stubborn),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Told": grpc.unary_unary_rpc_method_handler(self.told),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)


@contextlib.asynccontextmanager
async def serving(
    transport: str, echo: Echo, listens: str = "127.0.0.1:0", **limits: Any
) -> AsyncIterator[tuple[str, Transport]]:
    gate = Gate(
        {SERVICE: Audience.ANYONE},
        plaintext=True,
        trust_domain="",
        people=frozenset(),
        metrics=Metrics(),
    )
    room = Room(connections=100, per_peer=100, first_call_s=10.0)
    settings: Any = {"transport": transport, **limits}
    server = new_transport(gate, ConnectionLimits(**settings), room)
    server.add_generic_rpc_handlers((echo.handler(),))
    ports = server.bind(Ports(listens))
    await server.start()
    try:
        yield f"127.0.0.1:{ports[0]}" if ports else listens, server
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def calling(address: str) -> AsyncIterator[Any]:
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.http2.lookahead_bytes", 65_535),
        ("grpc.http2.bdp_probe", 0),
    ]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


async def test_messages_of_every_size_come_back_as_they_were(transport: str) -> None:
    sizes = [0, 1, 16_379, 16_384, 65_530, 65_536, 1 << 20, (8 << 20) - 1, 3]
    async with serving(transport, Echo()) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        for size in sizes:
            message = bytes(n % 251 for n in range(min(size, 1000))) + bytes(max(size - 1000, 0))
            await stream.write(message)
            assert message == await stream.read()
        await stream.done_writing()
        assert grpc.aio.EOF is await stream.read()
        assert grpc.StatusCode.OK is await stream.code()


async def test_a_unix_socket_is_served_whatever_its_path_is(transport: str, tmp_path: Path) -> None:
    path = tmp_path / "a path"
    path.mkdir()
    echo, listens = Echo(), f"unix:{path}/socket"
    async with serving(transport, echo, listens) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"hello")
        assert b"hello" == await stream.read()


async def test_a_request_beyond_the_limit_is_refused_and_says_so(transport: str) -> None:
    limits: dict[str, Any] = {"max_message_mib": 1}
    async with serving(transport, Echo(), **limits) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(bytes((1 << 20) + 1))
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is await stream.code()


async def test_who_does_not_read_is_waited_for(transport: str) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.unary_stream(f"/{SERVICE}/Flood")(b"")
        first = await stream.read()
        before = -1
        async with asyncio.timeout(WITHIN_S):
            while echo.written != before:  # until it stands still
                before = echo.written
                await asyncio.sleep(0.5)
        stood = echo.written
        rest = []
        while (message := await stream.read()) is not grpc.aio.EOF:
            rest.append(message)

    assert stood < 500
    assert 999 == len(rest)
    assert {100_000} == {len(message) for message in (first, *rest)}


async def test_who_is_not_read_has_to_wait(transport: str) -> None:
    echo = Echo()
    echo.reading.clear()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"first")
        await stream.read()

        async def write_all() -> None:
            for _ in range(200):
                await stream.write(bytes(100_000))

        writing = asyncio.create_task(write_all())
        done, _ = await asyncio.wait({writing}, timeout=1)
        assert not done
        echo.reading.set()
        heard = 0
        async with asyncio.timeout(WITHIN_S):
            while heard < 200:
                await stream.read()
                heard += 1
        await writing


async def test_many_small_requests_wait_as_a_few_large_ones_do(transport: str) -> None:
    echo = Echo()
    echo.reading.clear()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"first")
        await stream.read()

        async def write_all() -> None:
            for number in range(3000):
                await stream.write(b"%d" % number)

        writing = asyncio.create_task(write_all())
        await asyncio.wait({writing}, timeout=1)
        echo.reading.set()
        async with asyncio.timeout(WITHIN_S):
            for number in range(3000):
                assert b"%d" % number == await stream.read()
        await writing
        await stream.done_writing()
        assert grpc.StatusCode.OK is await stream.code()


async def test_a_method_that_writes_on_when_its_call_is_over_ends_all_the_same(
    transport: str,
) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Stubborn")()
        async with asyncio.timeout(WITHIN_S):
            await echo.begun.wait()
            stream.cancel()
            await echo.ended.wait()


async def test_a_call_that_comes_as_the_server_stops_does_not_outlive_it(transport: str) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, server):
        # The event loop hears nothing of it before the server stops.
        with speaking(int(address.split(":")[1])) as one:
            if transport == "fast":
                one.sendall(request(1, f"/{SERVICE}/Each"))
                assert heard(one)
            await server.stop(0)
        assert echo.begun.is_set() == echo.ended.is_set()


async def test_calls_that_are_reset_sooner_than_served_end_their_connection(
    transport: str,
) -> None:
    """What is forsaken while the event loop is busy does not pile up."""
    echo = Echo()
    async with serving(transport, echo) as (address, _):
        with speaking(int(address.split(":")[1])) as one:
            answered = 0
            for first in range(1, 4001, 20):
                if transport == "grpc":
                    await asyncio.sleep(0)
                pairs = (
                    request(n, f"/{SERVICE}/Each") + reset(n) for n in range(first, first + 20, 2)
                )
                with contextlib.suppress(OSError):
                    one.sendall(b"".join(pairs))
                if not heard(one):
                    break
                answered += 1
        if transport == "fast":
            assert answered < 50
        async with calling(address) as channel:
            assert b"[]" == await channel.unary_unary(f"/{SERVICE}/Told")(b"", timeout=WITHIN_S)


async def test_a_call_that_its_client_ends_is_over(transport: str) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"")
        await stream.read()
        stream.cancel()
        async with asyncio.timeout(WITHIN_S):
            await echo.ended.wait()


async def test_a_call_whose_time_is_up_is_over(transport: str) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")(timeout=0.5)
        assert grpc.StatusCode.DEADLINE_EXCEEDED is await stream.code()
        async with asyncio.timeout(WITHIN_S):
            await echo.begun.wait()
            await echo.ended.wait()


async def test_a_method_that_fails_is_unknown_and_one_that_is_not_there_unimplemented(
    transport: str,
) -> None:
    ends = []
    async with serving(transport, Echo()) as (address, _), calling(address) as channel:
        for method in ("Fail", "Absent"):
            call = channel.unary_unary(f"/{SERVICE}/{method}")(b"")
            ends.append((await call.code(), "by intent" in await call.details()))

    assert [(grpc.StatusCode.UNKNOWN, True), (grpc.StatusCode.UNIMPLEMENTED, False)] == ends


async def test_a_failure_that_is_no_text_ends_its_call_too(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if transport == "grpc":
        return  # there it does not, and its client waits
    # pytest-xdist cannot pass on what would be logged.
    monkeypatch.setattr(logging.getLogger("towpath_transport.server"), "disabled", True)
    async with serving(transport, Echo()) as (address, _), calling(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/FailOddly")(b"", timeout=WITHIN_S)
        assert grpc.StatusCode.UNKNOWN is await call.code()


async def test_metadata_come_and_go(transport: str) -> None:
    async with serving(transport, Echo()) as (address, _), calling(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Told")(
            b"", metadata=(("x-a", "text"), ("x-b-bin", b"\0\xff\1"))
        )
        assert repr([("x-a", "text"), ("x-b-bin", b"\0\xff\1")]).encode() == await call
        trailers = dict(await call.trailing_metadata())

    assert ("text", b"\0\xff") == (trailers["a"], trailers["b-bin"])


async def test_a_connection_that_is_too_old_is_left_and_its_calls_have_time(
    transport: str,
) -> None:
    echo = Echo()
    limits: dict[str, Any] = {"max_connection_age": 0.5}
    async with serving(transport, echo, **limits) as (address, _), calling(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"1")
        assert b"1" == await stream.read()
        async with asyncio.timeout(WITHIN_S):
            while channel.get_state() is grpc.ChannelConnectivity.READY:
                await asyncio.sleep(0.02)
        await stream.write(b"2")
        assert b"2" == await stream.read()
        await stream.done_writing()
        assert grpc.StatusCode.OK is await stream.code()


async def test_who_stops_lets_calls_finish_and_then_ends_them(transport: str) -> None:
    echo = Echo()
    async with serving(transport, echo) as (address, server), calling(address) as channel:
        patient, other = (channel.stream_stream(f"/{SERVICE}/Each")() for _ in range(2))
        for stream in (patient, other):
            await stream.write(b"1")
            await stream.read()
        stopping = asyncio.create_task(server.stop(1.0))
        await patient.write(b"2")
        assert b"2" == await patient.read()
        await patient.done_writing()
        assert grpc.StatusCode.OK is await patient.code()
        assert grpc.StatusCode.UNAVAILABLE is await other.code()
        await stopping
        async with asyncio.timeout(WITHIN_S):
            await echo.ended.wait()


async def test_who_says_nothing_at_all_is_cut(transport: str) -> None:
    """A connection that answers no ping: its client's machine is gone."""
    limits: dict[str, Any] = {"keepalive_time": 0.3, "keepalive_timeout": 0.3}
    async with serving(transport, Echo(), **limits) as (address, _):
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
        writer.close()


async def test_two_servers_do_not_share_a_port(transport: str) -> None:
    async with serving(transport, Echo()) as (address, _):
        gate = Gate({}, plaintext=True, trust_domain="", people=frozenset(), metrics=Metrics())
        room = Room(connections=1, per_peer=1, first_call_s=1.0)
        settings: Any = {"transport": transport}
        other = new_transport(gate, ConnectionLimits(**settings), room)
        with pytest.raises(OSError, match=f"--ads-address {address} cannot be bound"):
            other.bind(Ports(address))
        await other.stop(0)


async def test_new_certificates_are_shown_to_new_connections(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = certificates.server()
    curl = certificates.sidecar("curl", "curl")
    async with control_plane(tmp_path, tls=server) as plane:
        assert plane.tls is not None
        async with plane.stream(tls=curl) as old:
            await old.say(CLUSTER)
            await old.hear()
            before = await asyncio.to_thread(_shown, plane.address, curl)
            again = certificates.server()
            assert again.certificate == server.certificate
            plane.tls.look()
            assert before != await asyncio.to_thread(_shown, plane.address, curl)
            await old.say(CLUSTER, resource_names=["a"])
            await old.hear()


def _shown(address: str, tls: Any) -> bytes | None:
    context = ssl.create_default_context(cafile=tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port))) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


def test_the_start_says_which_transport_serves(tmp_path: Path, transport: str) -> None:
    process = ServerProcess(tmp_path, services=0)
    process.listen_on_tcp()
    process.start()
    try:
        name = {"grpc": "grpc.aio", "fast": "towpath-transport "}[transport]
        assert any(f"gRPC is served by {name}" in line for line in process.lines())
    finally:
        process.stop()
