"""Requests from bytes: what protobuf would make of them, unless that is too much."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from hypothesis import given
from hypothesis import strategies as st

from towpath.model.types import CLUSTER, LISTENER
from towpath.settings import StreamLimits
from towpath.xds.limits import LimitExceeded
from towpath.xds.messages import DeltaRequest, ProtocolError, SotwRequest
from towpath.xds.parse import LONGEST_ERROR, LONGEST_SOFTWARE, parse_delta, parse_sotw

FEW = StreamLimits(max_names=100, max_name_length=5)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.lists(texts, max_size=4)


@given(type_url=texts, version=texts, nonce=texts, asked=names, parts=st.integers(1, 3))
def test_a_request_is_what_protobuf_reads(
    *, type_url: str, version: str, nonce: str, asked: list[str], parts: int
) -> None:
    message: Any = DiscoveryRequest(
        type_url=type_url, version_info=version, response_nonce=nonce, resource_names=asked
    )
    data = message.SerializeToString() * parts  # of a field that comes again, the last counts

    assert parse_sotw(data, StreamLimits()) == SotwRequest(
        type_url, version=version, nonce=nonce, names=frozenset(asked)
    )


@given(type_url=texts, nonce=texts, asked=names, dropped=names, held=st.dictionaries(texts, texts))
def test_a_delta_request_is_what_protobuf_reads(
    *,
    type_url: str,
    nonce: str,
    asked: list[str],
    dropped: list[str],
    held: dict[str, str],
) -> None:
    message: Any = DeltaDiscoveryRequest(
        type_url=type_url,
        response_nonce=nonce,
        resource_names_subscribe=asked,
        resource_names_unsubscribe=dropped,
        initial_resource_versions=held,
    )

    assert parse_delta(message.SerializeToString(), StreamLimits()) == DeltaRequest(
        type_url,
        nonce=nonce,
        subscribe=frozenset(asked),
        unsubscribe=frozenset(dropped),
        initial_versions=held,
    )


MANY = [f"{n:x}" for n in range(200_000)]
TOO_MUCH: dict[str, tuple[Callable[..., Any], bytes, str]] = {
    "names": (
        parse_sotw,
        DiscoveryRequest(type_url=CLUSTER, resource_names=MANY).SerializeToString(),
        "names",
    ),
    "subscriptions": (
        parse_delta,
        DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_subscribe=MANY).SerializeToString(),
        "names",
    ),
    "names that are dropped": (
        parse_delta,
        DeltaDiscoveryRequest(resource_names_unsubscribe=MANY).SerializeToString(),
        "names",
    ),
    "versions": (
        parse_delta,
        DeltaDiscoveryRequest(
            initial_resource_versions=dict.fromkeys(MANY, "1")
        ).SerializeToString(),
        "names",
    ),
    "fields that nobody knows": (parse_delta, b"\x78\x01" * 400_000, "fields"),
    "fields of an error": (parse_sotw, b"\x32\x80\x89\x7a" + b"\x1a\x00" * 1_000_000, "fields"),
    "extensions of a node": (parse_sotw, b"\x12\x80\x89\x7a" + b"\x4a\x00" * 1_000_000, "fields"),
    "a long name": (
        parse_sotw,
        DiscoveryRequest(resource_names=["abcdef"]).SerializeToString(),
        "name-length",
    ),
    "a long version": (
        parse_delta,
        DeltaDiscoveryRequest(initial_resource_versions={"a": "abcdef"}).SerializeToString(),
        "name-length",
    ),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_much_is_refused_before_it_takes_more_than_its_bytes(what: str) -> None:
    parse, data, limit = TOO_MUCH[what]
    parse(b"", FEW)  # what is imported and made once
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded) as error:
            parse(data, FEW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert limit == error.value.limit
    assert peak < 2 * len(data) + (1 << 20)


def test_a_client_may_bring_more_versions_than_it_may_ask_for_names() -> None:
    held = dict.fromkeys(MANY[:300], "1")
    data = DeltaDiscoveryRequest(initial_resource_versions=held).SerializeToString()

    assert 300 == len(parse_delta(data, FEW).initial_versions)


def test_what_a_client_calls_itself_is_short_and_fit_to_be_shown() -> None:
    message: Any = DiscoveryRequest(type_url=LISTENER)
    message.node.id = "curl.shop"
    message.node.user_agent_name = "gRPC\x1b[2J\n" + "x" * 1000
    message.node.user_agent_version = "1\n" + "2" * 1000

    node = parse_sotw(message.SerializeToString(), StreamLimits()).node

    assert node is not None
    assert node.user_agent.startswith("gRPC\\x1b[2J\\n")
    for said in (node.user_agent, node.version):
        assert len(said) <= LONGEST_SOFTWARE
        assert said.isprintable()


def test_a_node_id_is_no_longer_than_one_of_kubernetes() -> None:
    message: Any = DiscoveryRequest(type_url=LISTENER)
    message.node.id = "x" * 318

    with pytest.raises(
        ProtocolError, match=r"a node id \(<pod>.<namespace>\) of 318 bytes: at most 317"
    ):
        parse_sotw(message.SerializeToString(), StreamLimits())


@pytest.mark.parametrize("request_type", [DiscoveryRequest, DeltaDiscoveryRequest])
def test_of_a_long_rejection_both_ends_are_kept_and_nothing_that_moves_a_cursor(
    request_type: Any,
) -> None:
    message = request_type(type_url=LISTENER)
    message.error_detail.message = f"listener\x1b[1m {'x' * 3 * LONGEST_ERROR}\nthe reason"
    parse = parse_sotw if request_type is DiscoveryRequest else parse_delta

    error = parse(message.SerializeToString(), StreamLimits()).error

    assert error is not None
    assert error.startswith("listener\\x1b[1m x")
    assert error.endswith("x\\nthe reason")
    assert len(error) < LONGEST_ERROR + 100
