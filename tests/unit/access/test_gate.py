"""The gate's rules: who may call what, and that nothing is let in that no rule speaks of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from support.access import AbortedError, call_context
from support.calls import call
from towpath.access import Audience, Gate
from towpath.access.requests import MOST_CALLS
from towpath.model.credentials import Credential
from towpath.model.names import Account
from towpath.telemetry.metrics import Metrics

SIDECAR = "spiffe://cluster.local/ns/shop/sa/web"
FOREIGN = "spiffe://other.local/ns/shop/sa/web"
JO = "spiffe://cluster.local/person/jo"
RULES = {
    "for.Sidecars": Audience.SIDECARS,
    "for.People": Audience.PEOPLE,
    "for.Anyone": Audience.ANYONE,
}
EVERY = (*RULES, "for.Nobody")

CALLERS = {
    "a sidecar": ("ssl", SIDECAR),
    "a person": ("ssl", JO),
    "a sidecar of another trust domain": ("ssl", FOREIGN),
    "a certificate without an id": ("ssl",),
    "the local socket": ("local",),
    "plaintext": ("insecure",),
    "a transport nobody knows": ("alts", SIDECAR),
}


def _gate(
    *,
    plaintext: bool = False,
    metrics: Metrics | None = None,
    largest: Mapping[str, int] | None = None,
) -> Gate:
    return Gate(
        RULES,
        plaintext=plaintext,
        trust_domain="cluster.local",
        people=frozenset({JO}),
        metrics=metrics or Metrics(),
        largest=largest,
    )


async def _never(*_: Any) -> str:
    raise AssertionError


async def _call(gate: Gate, service: str, *caller: str) -> str:
    """Call a method of *service*; gives «ok», or why it was refused."""

    async def answer(_: Any, __: Any) -> str:
        return "ok"

    async def find(_: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(answer)

    details: Any = SimpleNamespace(method=f"/{service}/Method")
    handler: Any = await gate.intercept_service(find, details)
    try:
        answered: str = await handler.stream_unary(None, call_context(*caller))
    except AbortedError as aborted:
        return f"{aborted.status.name}: {aborted.details}"
    return answered


async def _served(gate: Gate, *caller: str) -> set[str]:
    return {service for service in EVERY if await _call(gate, service, *caller) == "ok"}


@pytest.mark.parametrize(
    ("caller", "served"),
    [
        ("a sidecar", {"for.Sidecars", "for.Anyone"}),
        ("a person", {"for.People", "for.Anyone"}),
        ("a sidecar of another trust domain", {"for.Anyone"}),
        ("a certificate without an id", {"for.Anyone"}),
        ("the local socket", {"for.People", "for.Anyone"}),
        ("plaintext", set()),
        ("a transport nobody knows", set()),
    ],
)
async def test_with_tls_each_caller_is_served_what_is_for_it(caller: str, served: set[str]) -> None:
    assert served == await _served(_gate(), *CALLERS[caller])


async def test_without_tls_everybody_is_served_what_a_rule_speaks_of() -> None:
    assert RULES.keys() == await _served(_gate(plaintext=True), "insecure")


async def test_without_tls_the_local_socket_is_still_for_people() -> None:
    assert {"for.People", "for.Anyone"} == await _served(_gate(plaintext=True), "local")


@pytest.mark.parametrize(
    ("service", "caller", "words"),
    [
        ("for.Sidecars", "a person", "spiffe://cluster.local/ns/<namespace>/sa/<service account>"),
        ("for.People", "a sidecar", "--inspector-identities"),
        ("for.Nobody", "a person", "no rule allows calls of for.Nobody"),
        ("for.Anyone", "plaintext", "only authenticated callers"),
        ("for.Sidecars", "the local socket", "this address is for people"),
    ],
)
async def test_a_refusal_says_who_was_refused_and_what_is_needed(
    service: str, caller: str, words: str
) -> None:
    transport, *ids = CALLERS[caller]
    details = await _call(_gate(), service, transport, *ids)

    assert words in details
    assert details.startswith(
        f"PERMISSION_DENIED: {ids[0] if ids else 'a caller without SPIFFE id'} at ipv4:10.0.0.1:1: "
    )


async def test_a_refusal_is_counted_and_logged_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    gate = _gate(metrics=metrics)
    await _call(gate, "for.People", "ssl", SIDECAR)
    await _call(gate, "for.Nobody", "ssl", SIDECAR)

    counted = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.access_refused.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
    assert {("people", "not-listed"): 1, ("nobody", "no-rule"): 1} == counted
    assert [
        f"denied /for.People/Method to {SIDECAR} at ipv4:10.0.0.1:1 (not-listed)",
        f"denied /for.Nobody/Method to {SIDECAR} at ipv4:10.0.0.1:1 (no-rule)",
    ] == caplog.messages


def test_a_sidecar_subscribes_as_its_service_account() -> None:
    subscriber = _gate().subscriber(call_context("ssl", SIDECAR))

    assert subscriber is not None
    assert (Account("shop", "web"), Credential.CERTIFICATE, "") == (
        subscriber.account,
        subscriber.credential,
        subscriber.uid,
    )


def test_without_tls_a_stream_may_be_any_pods() -> None:
    assert _gate(plaintext=True).subscriber(call_context("insecure")) is None


@pytest.mark.parametrize("caller", ["a person", "the local socket", "plaintext"])
def test_who_is_no_service_account_does_not_subscribe(caller: str) -> None:
    with pytest.raises(PermissionError):
        _gate().subscriber(call_context(*CALLERS[caller]))


@pytest.mark.parametrize("streams", [False, True])
async def test_a_request_that_is_too_large_is_not_decoded(streams: bool) -> None:  # noqa: FBT001
    decoded: list[bytes] = []

    async def last(requests: AsyncIterator[int], _: Any) -> int:
        return [request async for request in requests][-1]

    async def same(request: int, _: Any) -> int:
        return request

    def decode(data: bytes) -> int:
        decoded.append(data)
        return len(data)

    async def find(_: grpc.HandlerCallDetails) -> Any:
        if streams:
            return grpc.stream_unary_rpc_method_handler(last, request_deserializer=decode)
        return grpc.unary_unary_rpc_method_handler(same, request_deserializer=decode)

    details: Any = SimpleNamespace(method="/for.Anyone/Method")
    gate = _gate(plaintext=True, largest={"for.Anyone": 4})
    handler: Any = await gate.intercept_service(find, details)
    context = call_context("insecure")

    context.requests = [b"four"]
    assert 4 == await handler.stream_unary(None, context)
    context.requests = [b"fives"]
    with pytest.raises(AbortedError, match="a request of 5 bytes: this method takes at most 4"):
        await handler.stream_unary(None, context)
    assert [b"four"] == decoded


async def test_of_whom_is_refused_nothing_is_read() -> None:
    async def find(_: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(_never)

    details: Any = SimpleNamespace(method="/for.People/Method")
    handler: Any = await _gate().intercept_service(find, details)
    context = call_context("ssl", SIDECAR)
    with pytest.raises(AbortedError):
        await handler.stream_unary(None, context)

    assert [b""] == context.requests


async def test_an_address_has_so_many_calls_at_once_and_again_when_they_end() -> None:
    enough = asyncio.Event()

    async def wait(_: bytes, __: Any) -> str:
        await enough.wait()
        return "ok"

    async def find(_: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(wait)

    details: Any = SimpleNamespace(method="/for.Anyone/Method")
    handler: Any = await _gate(plaintext=True).intercept_service(find, details)

    def begin() -> asyncio.Task[Any]:
        asking = handler.stream_unary(None, call_context("insecure"))
        return asyncio.ensure_future(asking)

    calls = [begin() for _ in range(MOST_CALLS)]
    with pytest.raises(AbortedError, match="64 calls are open from ipv4:10"):
        await begin()
    enough.set()

    assert ["ok"] * (MOST_CALLS + 1) == await asyncio.gather(*calls, begin())


async def test_methods_of_every_shape_are_guarded_and_answer(tmp_path: Path) -> None:
    async def one(request: bytes, _: Any) -> bytes:
        return request

    async def all_of(requests: AsyncIterator[bytes], _: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def yielded(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def yielded_once(request: bytes, _: Any) -> AsyncIterator[bytes]:
        yield request

    async def written(requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            await context.write(request)

    methods: dict[str, Any] = {
        "One": grpc.unary_unary_rpc_method_handler(one),
        "All": grpc.stream_unary_rpc_method_handler(all_of),
        "Yielded": grpc.stream_stream_rpc_method_handler(yielded),
        "YieldedOnce": grpc.unary_stream_rpc_method_handler(yielded_once),
        "Written": grpc.stream_stream_rpc_method_handler(written),
    }
    server = grpc.aio.server(interceptors=(_gate(plaintext=True),))
    for service in ("for.Anyone", "for.Nobody"):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    address = f"unix:{tmp_path}/sock"
    server.add_insecure_port(address)
    await server.start()

    try:
        async with grpc.aio.insecure_channel(address) as channel:
            answers = {
                name: await call(channel, f"/for.Anyone/{name}", b"asked") for name in methods
            }
            refused = {await call(channel, f"/for.Nobody/{name}") for name in methods}
            unknown = await call(channel, "/for.Anyone/Unknown")
    finally:
        await server.stop(None)

    assert dict.fromkeys(methods, b"asked") == answers
    assert {grpc.StatusCode.PERMISSION_DENIED} == refused
    assert grpc.StatusCode.UNIMPLEMENTED is unknown


async def test_a_certificate_that_has_expired_meanwhile_calls_nothing_more() -> None:
    gate = Gate(
        RULES,
        plaintext=False,
        trust_domain="cluster.local",
        people=frozenset({JO}),
        metrics=Metrics(),
        now=lambda: datetime.now(UTC) + timedelta(days=10_000),
    )
    for service in RULES:
        assert "expired" in await _call(gate, service, "ssl", SIDECAR)
