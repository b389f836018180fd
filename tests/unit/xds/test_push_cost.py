"""What a push costs for one stream more: no message is built, and no byte of the body is copied."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from envoy.config.core.v3 import base_pb2
from google.protobuf.message import Message

from support.resources import snapshot
from support.xds_peer import NODE, delta_session, new_client, sotw_session
from towpath.model.types import CLUSTER
from towpath.xds import absence, conversation, delta, session, sotw, waits, wire
from towpath.xds.messages import DeltaRequest, Reply, SotwRequest
from towpath.xds.wire import Composer

MODULES = (base_pb2, absence, conversation, delta, session, sotw, waits, wire)
STREAMS = 100


def _message_types(module: ModuleType) -> list[str]:
    return [
        name
        for name, held in vars(module).items()
        if inspect.isclass(held) and issubclass(held, Message)
    ]


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_a_push_builds_no_message_for_a_stream(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    composer = Composer(identifier="test")
    made = [
        sotw_session(new_client(), composer=composer)
        if variant == "sotw"
        else delta_session(new_client(), composer=composer)
        for _ in range(STREAMS)
    ]
    before = snapshot({CLUSTER: {f"c{n}": "1" for n in range(50)}})
    after = snapshot({CLUSTER: {f"c{n}": "2" for n in range(50)}})
    for one in made:
        one.on_snapshot(before)
        request = SotwRequest if variant == "sotw" else DeltaRequest
        one.on_request(request(CLUSTER, node=NODE))
    built: list[str] = []
    names = [(module, name) for module in MODULES for name in _message_types(module)]
    for module, name in names:
        monkeypatch.setattr(module, name, lambda *_, **__: built.append("one"))

    replies = [event for one in made for event in one.on_snapshot(after)]

    assert [] == built
    assert STREAMS == len(replies)
    bodies = {id(reply.body) for reply in replies if isinstance(reply, Reply)}
    assert 1 == len(bodies)
    assert (base_pb2, "ControlPlane") in names  # or nothing was watched
