"""What is said of names that are asked for and are not there, by who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse

from support.resources import FakeVocabulary, resource_set
from support.xds_peer import delta_session, sotw_session
from towpath.encode import envoy
from towpath.model.snapshot import ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET
from towpath.xds.absence import HINTS, MOST_TOLD, faults
from towpath.xds.messages import DeltaRequest, Node, Reply, SotwRequest
from towpath.xds.wire import nonce_field

GRPC = Node("echo.shop", "gRPC C-core linux Python")
ENVOY = Node("echo.shop", "envoy", "1.40.0")
NOBODY = Node("echo.shop", "")
HELD = {"echo.shop:80": "1", "web.shop:80": "1"}


def _snapshot(*types: str, forbidden: Callable[[str, str], str | None] | None = None) -> Snapshot:
    sets = {type_url: resource_set(type_url, HELD) for type_url in types}
    if forbidden is None:
        return Snapshot(sets, FakeVocabulary(closed=envoy.closed))
    return Snapshot(sets, FakeVocabulary(closed=envoy.closed, forbidden=forbidden))


def _sotw(node: Node, type_url: str, *names: str, snapshot: Snapshot) -> list[Any]:
    session = sotw_session()
    session.on_snapshot(snapshot)
    events = session.on_request(SotwRequest(type_url, node=node, names=frozenset(names)))
    return [DiscoveryResponse.FromString(_bytes(e)) for e in events if isinstance(e, Reply)]


def _delta(node: Node, type_url: str, *names: str, snapshot: Snapshot) -> list[Any]:
    session = delta_session()
    session.on_snapshot(snapshot)
    events = session.on_request(DeltaRequest(type_url, node=node, subscribe=frozenset(names)))
    return [DeltaDiscoveryResponse.FromString(_bytes(e)) for e in events if isinstance(e, Reply)]


def _bytes(reply: Reply) -> bytes:
    return reply.body + nonce_field(reply.nonce)


def test_envoy_is_given_an_empty_assignment_in_place_of_one_that_does_not_exist() -> None:
    """Its cluster would warm until a timer ends that, 15 s later."""
    (answer,) = _sotw(ENVOY, ENDPOINTS, "gone", snapshot=_snapshot(ENDPOINTS))

    stand_in = envoy.closed(ENDPOINTS, "gone")
    assert stand_in is not None
    assert [stand_in.packed] == [r.SerializeToString() for r in answer.resources]


@pytest.mark.parametrize("type_url", [ROUTES, SECRET])
def test_envoy_waits_in_silence_for_what_may_still_come(type_url: str) -> None:
    assert [] == _sotw(ENVOY, type_url, "gone", snapshot=_snapshot(type_url))


@pytest.mark.parametrize("type_url", [ENDPOINTS, SECRET, CLUSTER])
def test_delta_says_that_a_name_does_not_exist(type_url: str) -> None:
    for node in (ENVOY, NOBODY):
        (answer,) = _delta(node, type_url, "gone", snapshot=_snapshot(type_url))
        assert ["gone"] == list(answer.removed_resources)


def test_trap_9_only_envoy_is_not_told_that_routes_do_not_exist() -> None:
    assert [] == _delta(ENVOY, ROUTES, "gone", snapshot=_snapshot(ROUTES))
    (answer,) = _delta(NOBODY, ROUTES, "gone", snapshot=_snapshot(ROUTES))
    assert ["gone"] == list(answer.removed_resources)


def test_an_unknown_client_is_told_nothing_in_the_state_of_the_world() -> None:
    assert [] == _sotw(NOBODY, ENDPOINTS, "gone", snapshot=_snapshot(ENDPOINTS))


@pytest.mark.parametrize("type_url", [LISTENER, CLUSTER, ROUTES, ENDPOINTS])
def test_grpc_is_told_at_once_and_what_it_may_have_meant(type_url: str) -> None:
    names = ("echoo.shop:80", "web.shop:80")
    (answer,) = _sotw(GRPC, type_url, *names, snapshot=_snapshot(type_url))

    (error,) = answer.resource_errors
    assert "echoo.shop:80" == error.resource_name.name
    assert 5 == error.error_detail.code
    assert "there is no 'echoo.shop:80' here; did you mean 'echo.shop:80'?" == (
        error.error_detail.message
    )
    assert 1 == len(answer.resources)  # what exists is in the same response


def test_grpc_is_told_of_an_absent_name_once_and_again_after_it_had_come() -> None:
    session = sotw_session()

    def heard(contents: dict[str, str]) -> list[tuple[str, ...]]:
        sets = {LISTENER: resource_set(LISTENER, contents)}
        replies = session.on_snapshot(Snapshot(sets))
        answers = [DiscoveryResponse.FromString(_bytes(e)) for e in replies]  # type: ignore[arg-type]
        return [tuple(e.resource_name.name for e in a.resource_errors) for a in answers]

    heard(HELD)
    session.on_request(SotwRequest(LISTENER, node=GRPC, names=frozenset({"new", "web.shop:80"})))
    assert [] == heard({**HELD, "other": "1"})
    assert [()] == heard({**HELD, "new": "1"})
    assert [("new",)] == heard(HELD)


def test_a_forbidden_name_is_refused_in_the_words_of_who_forbids_it() -> None:
    snapshot = _snapshot(LISTENER, forbidden=lambda _, name: f"{name} is not for you")
    (answer,) = _sotw(GRPC, LISTENER, "secret.shop:80", snapshot=snapshot)

    (error,) = answer.resource_errors
    assert (7, "secret.shop:80 is not for you") == (
        error.error_detail.code,
        error.error_detail.message,
    )


@pytest.mark.parametrize("node", [ENVOY, NOBODY])
def test_errors_are_not_sent_to_clients_that_do_not_read_them(node: Node) -> None:
    for answer in (
        *_sotw(node, LISTENER, "gone", "web.shop:80", snapshot=_snapshot(LISTENER)),
        *_delta(node, LISTENER, "gone", snapshot=_snapshot(LISTENER)),
    ):
        assert [] == list(answer.resource_errors)


def test_of_many_absent_names_a_few_are_compared_and_all_are_told() -> None:
    found = faults([f"eco.shop:{n}" for n in range(1000)], HELD, forbidden=lambda _: None)

    assert 1000 == len(found)
    assert {5} == {fault.code for fault in found}
    assert HINTS == sum("did you mean 'echo.shop:80'?" in fault.message for fault in found)


MANY = tuple(f"absent-{number:05}" for number in range(2 * MOST_TOLD + 1))


@pytest.mark.parametrize("type_url", [LISTENER, CLUSTER, ROUTES, ENDPOINTS])
@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_of_very_many_absent_names_each_is_told_once_some_with_each_answer(
    variant: str, type_url: str
) -> None:
    told: list[list[str]] = []
    session = sotw_session() if variant == "sotw" else delta_session()
    session.on_snapshot(_snapshot(type_url))
    names: tuple[str, ...] = MANY
    nonce = version = ""
    while True:
        if variant == "sotw":
            asked = SotwRequest(
                type_url, node=GRPC, names=frozenset(names), nonce=nonce, version=version
            )
            events = session.on_request(asked)
        else:
            subscribe = () if nonce else names
            events = session.on_request(
                DeltaRequest(type_url, node=GRPC, nonce=nonce, subscribe=frozenset(subscribe))
            )
        replies = [event for event in events if isinstance(event, Reply)]
        if not replies:
            break
        (reply,) = replies
        nonce, version = reply.nonce, reply.version
        message = DiscoveryResponse if variant == "sotw" else DeltaDiscoveryResponse
        told.append(
            [e.resource_name.name for e in message.FromString(_bytes(reply)).resource_errors]
        )

    assert [len(some) for some in told] == [MOST_TOLD, MOST_TOLD, 1]
    assert sorted(name for some in told for name in some) == sorted(MANY)


def test_of_very_many_absent_endpoints_each_is_stood_in_for_some_with_each_answer() -> None:
    session = sotw_session()
    session.on_snapshot(_snapshot(ENDPOINTS))
    sent: list[tuple[str, ...]] = []
    request = SotwRequest(ENDPOINTS, node=ENVOY, names=frozenset(MANY))
    while replies := [e for e in session.on_request(request) if isinstance(e, Reply)]:
        (reply,) = replies
        sent.append(reply.names)
        request = SotwRequest(
            ENDPOINTS, names=frozenset(MANY), nonce=reply.nonce, version=reply.version
        )

    assert [len(names) for names in sent] == [MOST_TOLD, MOST_TOLD, 1]
    assert sorted(name for names in sent for name in names) == sorted(MANY)


def test_what_a_delta_client_holds_is_not_looked_at_while_something_else_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = 0
    find = ResourceSet.find

    def counted(self: ResourceSet, name: str) -> object:
        nonlocal looked_up
        looked_up += 1
        return find(self, name)

    def look_ups(count: int) -> int:
        nonlocal looked_up
        held = {f"held-{number:04}": "1" for number in range(count)}
        session = delta_session()
        session.on_snapshot(Snapshot({CLUSTER: resource_set(CLUSTER, held)}))
        for event in session.on_request(DeltaRequest(CLUSTER, node=ENVOY)):
            assert isinstance(event, Reply)
            session.on_request(DeltaRequest(CLUSTER, nonce=event.nonce))
        layers = resource_set(CLUSTER, held).layers
        changed = ResourceSet(CLUSTER, (*layers, *resource_set(CLUSTER, {"new": "1"}).layers))
        looked_up = 0
        (reply,) = session.on_snapshot(Snapshot({CLUSTER: changed}))
        assert isinstance(reply, Reply)
        assert reply.names == ("new",)
        return looked_up

    monkeypatch.setattr(ResourceSet, "find", counted)
    assert look_ups(1_000) == look_ups(10)
