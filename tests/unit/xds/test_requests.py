"""Requests that differ only in their nonces are parsed once, and mean what they always did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.protobuf.message import Message

from towpath.model.types import ENDPOINTS
from towpath.settings import StreamLimits
from towpath.xds import requests
from towpath.xds.messages import ProtocolError, Request
from towpath.xds.requests import RequestParser
from towpath.xds.variant import DELTA, SOTW, Variant

LIMITS = StreamLimits()
STREAMS = 20
NAMES = [f"name-{n}" for n in range(100)]


def _ack(variant: Variant, nonce: str) -> bytes:
    message: Message = (
        DiscoveryRequest(
            type_url=ENDPOINTS, version_info="1", resource_names=NAMES, response_nonce=nonce
        )
        if variant is SOTW
        else DeltaDiscoveryRequest(type_url=ENDPOINTS, response_nonce=nonce)
    )
    return message.SerializeToString()


class _Counting:
    """A variant whose parsing is counted."""

    def __init__(self, variant: Variant) -> None:
        self.count = 0
        self.variant = replace(variant, parse=self._parse)
        self._inner = variant.parse

    def _parse(self, data: bytes, limits: StreamLimits) -> Request:
        self.count += 1
        return self._inner(data, limits)


@pytest.mark.parametrize("variant", [SOTW, DELTA], ids=["sotw", "delta"])
async def test_an_ack_that_many_streams_send_is_parsed_once(variant: Variant) -> None:
    parser, counting = RequestParser(LIMITS), _Counting(variant)

    parsed = [await parser.parse(counting.variant, _ack(variant, str(n))) for n in range(STREAMS)]

    expected = [variant.parse(_ack(variant, str(n)), LIMITS) for n in range(STREAMS)]
    assert expected == parsed
    assert 2 == counting.count  # once with a nonce, and once to see that it is one


NONCE = b"\x2a\x017"
"""As it stands behind a DiscoveryRequest."""


@pytest.mark.parametrize(
    "data",
    [
        b"\x1a\x04name" + NONCE,
        b"\x1a\x07name" + NONCE,  # the end of a name
        b"\x1a\x08name" + NONCE,  # no message at all, with or without
        b"\x2a\x015" + NONCE,  # the last of two
        NONCE,
        b"7",
    ],
)
def test_what_looks_like_a_nonce_is_one_only_if_it_is(data: bytes) -> None:
    parser = RequestParser(LIMITS)
    expected = _error_or_request(lambda: SOTW.parse(data, LIMITS))
    for _ in range(2):
        parse = partial(asyncio.run, parser.parse(SOTW, data))
        assert expected == _error_or_request(parse)


def _error_or_request(parse: Callable[[], Request]) -> Request | str:
    try:
        return parse()
    except ProtocolError as error:
        return str(error)


async def test_who_a_client_is_and_what_it_rejects_is_not_remembered() -> None:
    parser = RequestParser(LIMITS)
    rejection = DiscoveryRequest(type_url=ENDPOINTS, response_nonce="1")
    rejection.error_detail.message = "no"
    first = DiscoveryRequest(type_url=ENDPOINTS)
    first.node.id = "curl.shop"
    for message in (rejection, first):
        await parser.parse(SOTW, message.SerializeToString())

    assert not parser._requests


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "REMEMBERED_BYTES", 10_000)
    parser = RequestParser(LIMITS)
    for number in range(500):
        await parser.parse(
            SOTW,
            DiscoveryRequest(type_url=ENDPOINTS, version_info=f"v{number}x").SerializeToString(),
        )

    assert 10_000 >= parser._bytes
    assert 0 < len(parser._requests) < 100
