"""A reader that never answers keeps nothing alive but what it was sent last."""

from __future__ import annotations

import gc

import pytest

from support.resources import resource, resource_set
from support.xds_peer import NODE, delta_session, sotw_session
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS
from towpath.xds.messages import DeltaRequest, SotwRequest
from towpath.xds.session import Session
from towpath.xds.unanswered import MOST_UNANSWERED
from towpath.xds.wire import Composer

PUSHES = 3 * MOST_UNANSWERED


def _session(variant: str, type_url: str) -> Session:
    composer = Composer(identifier="test", kept=1)
    made = (
        sotw_session(composer=composer) if variant == "sotw" else delta_session(composer=composer)
    )
    made.on_snapshot(_snapshot(type_url, 0))
    if variant == "sotw":
        made.on_request(SotwRequest(type_url, node=NODE, names=frozenset("a")))
    else:
        made.on_request(DeltaRequest(type_url, node=NODE, subscribe=frozenset(("a",))))
    return made


def _snapshot(type_url: str, version: int) -> Snapshot:
    held = Layer((resource(type_url, "a", f"content {version}"),))
    return Snapshot({type_url: ResourceSet(type_url, (held,))})


def _alive(session: Session, type_url: str) -> set[bytes]:
    # What all streams share is bounded by itself, and no reader's.
    session._composer._small.cache_clear()
    gc.collect()
    held = (o for o in gc.get_objects() if isinstance(o, Resource))
    return {r.packed for r in held if r.type_url == type_url and b"content" in r.packed}


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS])
@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_a_reader_that_never_answers_pins_no_version_but_the_newest_and_the_last_it_was_sent(
    variant: str, type_url: str
) -> None:
    session = _session(variant, type_url)

    for version in range(1, PUSHES):
        session.on_snapshot(_snapshot(type_url, version))

    versions = {int(packed.rsplit(b" ", 1)[1]) for packed in _alive(session, type_url)}
    newest = PUSHES - 1
    # In the delta variant it is sent no more until it answers: then also the two it was sent last.
    last = {MOST_UNANSWERED - 2, MOST_UNANSWERED - 1} if variant == "delta" else set()
    assert versions <= {newest} | last
    assert newest in versions


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_who_answers_at_last_gets_the_newest(variant: str) -> None:
    session = _session(variant, ENDPOINTS)
    for version in range(1, PUSHES):
        session.on_snapshot(_snapshot(ENDPOINTS, version))

    nonce = str(MOST_UNANSWERED if variant == "delta" else PUSHES)
    if variant == "delta":
        events = session.on_request(DeltaRequest(ENDPOINTS, nonce=nonce))
        expected = resource_set(ENDPOINTS, {"a": f"content {PUSHES - 1}"})["a"]
        assert [expected.packed in e.body for e in events if hasattr(e, "body")] == [True]
    else:
        events = session.on_request(SotwRequest(ENDPOINTS, nonce=nonce, names=frozenset("a")))
        assert [f"content {PUSHES - 1}"] == [
            r.packed.split(b"=", 1)[1].decode()
            for r in session._substreams[ENDPOINTS].resources.values()
        ]
        assert session.settled
