"""Wire: composed bytes are the message that protobuf would build, and parsing never guesses."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy.service.discovery.v3.discovery_pb2 import Resource as DeltaResource
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import given
from hypothesis import strategies as st

from support.resources import resource
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, LISTENER, SECRET
from towpath.settings import StreamLimits
from towpath.xds import wire
from towpath.xds.messages import DeltaRequest, Node, ProtocolError, SotwRequest
from towpath.xds.parse import LARGEST_NODE, parse_delta, parse_sotw
from towpath.xds.wire import Composer, nonce_field

texts = st.text(max_size=200)
resources = st.dictionaries(texts, st.text(max_size=300), max_size=4).map(
    lambda held: tuple(resource(LISTENER, name, content) for name, content in held.items())
)


def _by_name(*held: Resource) -> dict[str, Resource]:
    return {one.name: one for one in held}


@given(version=texts, nonce=texts, held=resources)
def test_a_composed_response_is_what_protobuf_would_build(
    version: str, nonce: str, held: tuple[Resource, ...]
) -> None:
    expected: Any = DiscoveryResponse(
        version_info=version,
        type_url=LISTENER,
        nonce=nonce,
        resources=[AnyMessage.FromString(one.packed) for one in held],
    )
    expected.control_plane.identifier = "test"

    body = Composer(identifier="test").sotw(LISTENER, version, _by_name(*held), whole=False)

    assert DiscoveryResponse.FromString(body + nonce_field(nonce)) == expected


@given(version=texts, nonce=texts, held=resources, removed=st.lists(texts, max_size=3))
def test_a_composed_delta_response_is_what_protobuf_would_build(
    *, version: str, nonce: str, held: tuple[Resource, ...], removed: list[str]
) -> None:
    expected: Any = DeltaDiscoveryResponse(
        system_version_info=version,
        type_url=LISTENER,
        nonce=nonce,
        removed_resources=removed,
        resources=[
            DeltaResource(
                name=one.name, version=one.version, resource=AnyMessage.FromString(one.packed)
            )
            for one in held
        ],
    )
    expected.control_plane.identifier = "test"

    body = Composer(identifier="test").delta(LISTENER, version, held, removed=tuple(removed))

    assert DeltaDiscoveryResponse.FromString(body + nonce_field(nonce)) == expected


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 3_000_000])
def test_lengths_of_every_size_are_right(size: int) -> None:
    held = resource(LISTENER, "big", "x" * size)

    body = Composer(identifier="test").sotw(LISTENER, "v", _by_name(held), whole=True)

    (packed,) = DiscoveryResponse.FromString(body).resources
    assert packed.SerializeToString() == held.packed


def test_a_body_is_shared_by_all_that_are_sent_the_same() -> None:
    composer = Composer(identifier="test")
    a, b = resource(LISTENER, "a", "1"), resource(LISTENER, "b", "1")

    assert composer.sotw(LISTENER, "v", _by_name(a, b), whole=True) is composer.sotw(
        LISTENER, "v", _by_name(a, b), whole=True
    )
    assert composer.delta(LISTENER, "v", (a,), removed=("x",)) is composer.delta(
        LISTENER, "v", (a,), removed=("x",)
    )


def test_bodies_that_differ_are_never_taken_for_each_other() -> None:
    composer = Composer(identifier="test")
    a, b = resource(LISTENER, "a", "1"), resource(LISTENER, "b", "1")

    bodies = {
        composer.sotw(LISTENER, "v", _by_name(a, b), whole=True),
        composer.sotw(LISTENER, "v", _by_name(a), whole=False),
        composer.sotw(LISTENER, "v", _by_name(b), whole=False),
        composer.sotw(LISTENER, "w", _by_name(a, b), whole=True),
        composer.sotw(CLUSTER, "v", _by_name(), whole=True),
        composer.delta(LISTENER, "v", (a,), removed=()),
        composer.delta(LISTENER, "v", (), removed=("a",)),
        composer.delta(LISTENER, "v", (), removed=()),
    }

    assert len(bodies) == 8


def test_what_a_full_state_version_stood_for_can_be_recalled_for_a_while() -> None:
    composer = Composer(identifier="test", kept=2)
    held = _by_name(resource(LISTENER, "a", "1"))
    composer.sotw(LISTENER, "1", held, whole=True)
    composer.sotw(LISTENER, "2", held, whole=False)
    assert composer.recall(LISTENER, "1") is held
    assert composer.recall(LISTENER, "2") is None

    for version in "34":
        composer.sotw(LISTENER, version, {}, whole=True)
    assert composer.recall(LISTENER, "1") is None


def test_only_the_latest_bodies_are_kept() -> None:
    composer = Composer(identifier="test", kept=2)
    first = composer.sotw(LISTENER, "1", _by_name(), whole=True)
    composer.sotw(LISTENER, "2", _by_name(), whole=True)
    assert composer.sotw(LISTENER, "1", _by_name(), whole=True) is first

    composer.sotw(LISTENER, "3", _by_name(), whole=True)

    assert composer.sotw(LISTENER, "1", _by_name(), whole=True) is first
    assert len(composer._bodies) == 2


def test_a_request_is_parsed_field_by_field() -> None:
    message: Any = DiscoveryRequest(
        type_url=LISTENER, version_info="v", response_nonce="n", resource_names=["b", "a", "a"]
    )
    message.node.id, message.node.user_agent_name = "curl.shop", "envoy"
    message.error_detail.message = "no"

    assert parse_sotw(message.SerializeToString(), StreamLimits()) == SotwRequest(
        LISTENER,
        node=Node("curl.shop", "envoy"),
        version="v",
        nonce="n",
        names=frozenset({"a", "b"}),
        error="no",
    )


def test_a_delta_request_is_parsed_field_by_field() -> None:
    message: Any = DeltaDiscoveryRequest(
        type_url=LISTENER,
        response_nonce="n",
        resource_names_subscribe=["a", "b"],
        resource_names_unsubscribe=["c"],
        initial_resource_versions={"a": "1"},
    )
    message.node.id, message.node.user_agent_name = "curl.shop", "envoy"
    message.error_detail.message = "no"

    assert parse_delta(message.SerializeToString(), StreamLimits()) == DeltaRequest(
        LISTENER,
        node=Node("curl.shop", "envoy"),
        nonce="n",
        subscribe=frozenset(("a", "b")),
        unsubscribe=frozenset(("c",)),
        initial_versions={"a": "1"},
        error="no",
    )


def test_what_is_kept_of_a_node_is_what_people_know_it_by() -> None:
    message: Any = DiscoveryRequest(type_url=LISTENER)
    message.node.id, message.node.cluster, message.node.user_agent_name = "curl.shop", "c", "envoy"
    message.node.user_agent_build_version.version.major_number = 1
    message.node.metadata["zone"] = "eu-1"
    message.node.locality.region = "eu"
    expected = message.node.SerializeToString(deterministic=True)
    message.node.extensions.add(name="x")

    node = parse_sotw(message.SerializeToString(), StreamLimits()).node

    assert node is not None
    assert expected == node.encoded


def test_of_a_client_that_says_too_much_of_itself_its_names_are_kept() -> None:
    message: Any = DiscoveryRequest(type_url=LISTENER)
    message.node.id, message.node.user_agent_name = "curl.shop", "envoy"
    expected = message.node.SerializeToString(deterministic=True)
    message.node.metadata["long"] = "x" * LARGEST_NODE

    node = parse_sotw(message.SerializeToString(), StreamLimits()).node

    assert node is not None
    assert expected == node.encoded


def test_an_error_without_a_text_is_still_a_rejection() -> None:
    sotw: Any = DiscoveryRequest(type_url=LISTENER)
    sotw.error_detail.SetInParent()
    delta: Any = DeltaDiscoveryRequest(type_url=LISTENER)
    delta.error_detail.SetInParent()

    assert parse_sotw(sotw.SerializeToString(), StreamLimits()).error == ""
    assert parse_delta(delta.SerializeToString(), StreamLimits()).error == ""


def test_an_empty_message_is_a_request_that_says_nothing() -> None:
    assert parse_sotw(b"", StreamLimits()) == SotwRequest("")
    assert parse_delta(b"", StreamLimits()) == DeltaRequest("")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff", id="no field"),
        pytest.param(b"\x0a\x7fshort", id="a length beyond the end"),
        pytest.param(b"\x22\x02\xff\xfe", id="a type that is no UTF-8"),
    ],
)
def test_bytes_that_are_no_request_break_the_protocol_and_are_named(data: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"not a DiscoveryRequest: {len(data)} bytes"):
        parse_sotw(data, StreamLimits())
    with pytest.raises(ProtocolError, match=f"not a DeltaDiscoveryRequest: {len(data)} bytes"):
        parse_delta(data, StreamLimits())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_break_the_protocol(data: bytes) -> None:
    for parse in (parse_sotw, parse_delta):
        try:
            parse(data, StreamLimits())
        except ProtocolError:
            continue


def test_a_resource_of_many_delta_responses_is_encoded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded = list[str]()
    encode = wire._encoded

    def counted(name: str, version: str, packed: bytes) -> bytes:
        encoded.append(name)
        return encode(name, version, packed)

    monkeypatch.setattr(wire, "_encoded", counted)
    shared = tuple(resource(CLUSTER, f"encoded-once-{n}", "1") for n in range(50))
    composer = Composer(identifier="test")
    for number in range(4):
        own = resource(CLUSTER, f"own-{number}", "1")
        composer.delta(CLUSTER, f"{number}", (*shared, own), removed=())

    assert len(encoded) == len(shared) + 4


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_a_composer_keeps_no_private_key(variant: str) -> None:
    composer = Composer(identifier="test")
    secret = resource(SECRET, "own", "-----PRIVATE KEY-----")
    kept = len(pickle.dumps(_kept(composer)))
    if variant == "sotw":
        body = composer.sotw(SECRET, "1", _by_name(secret), whole=False)
    else:
        body = composer.delta(SECRET, "1", (secret,), removed=())

    assert secret.packed in body
    assert kept == len(pickle.dumps(_kept(composer)))


def test_what_many_are_sent_is_composed_once() -> None:
    composer, cluster = Composer(identifier="test"), resource(CLUSTER, "c", "content")
    bodies = [composer.delta(CLUSTER, "1", (cluster,), removed=()) for _ in range(2)]

    assert bodies[0] is bodies[1]


def _kept(composer: Composer) -> Any:
    return composer._bodies, composer._whole, composer._small.cache_info().currsize
