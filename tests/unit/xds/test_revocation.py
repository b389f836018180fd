"""Taking away comes first: routes that are gone are replaced by ones that allow nothing."""

from __future__ import annotations

import pytest

from support.xds_peer import NODE
from towpath.encode.envoy import egress_routes, revoked
from towpath.model.names import Protocol
from towpath.model.snapshot import Layer, ResourceSet, Snapshot
from towpath.model.types import LISTENER, ROUTES
from towpath.planning.egress.rules import Rule
from towpath.planning.egress.ways import ways
from towpath.xds.delta import DeltaSession
from towpath.xds.messages import DeltaRequest, Event, Reply, SotwRequest
from towpath.xds.rejections import Rejections
from towpath.xds.session import Session
from towpath.xds.sotw import SotwSession
from towpath.xds.wire import Composer

NAME = "rds-egress.80"
RULE = Rule("p/x", 80, Protocol.HTTP, ("a.test",), None, None, None)
ALLOWED = egress_routes(ways((RULE,), (), passthrough=False))
GONE = revoked(ROUTES, NAME)


def _snapshot(routes: Layer) -> Snapshot:
    return Snapshot({ROUTES: ResourceSet(ROUTES, (routes,))}, revoke=revoked)


def _sotw() -> SotwSession:
    session = SotwSession(composer=Composer(identifier="t"), rejections=Rejections())
    session.on_snapshot(_snapshot(ALLOWED))
    session.on_request(SotwRequest(ROUTES, node=NODE, names=frozenset({NAME})))
    return session


def _delta() -> DeltaSession:
    session = DeltaSession(composer=Composer(identifier="t"), rejections=Rejections())
    session.on_snapshot(_snapshot(ALLOWED))
    session.on_request(DeltaRequest(ROUTES, node=NODE, subscribe=(NAME,)))
    return session


SESSIONS = pytest.mark.parametrize("session", [_sotw(), _delta()], ids=["sotw", "delta"])


def _replies(events: list[Event]) -> list[Reply]:
    return [event for event in events if isinstance(event, Reply)]


@SESSIONS
def test_routes_that_are_gone_are_replaced_not_removed(session: Session) -> None:  # type: ignore[type-arg]
    assert GONE is not None
    (reply,) = _replies(session.on_snapshot(_snapshot(Layer())))

    assert reply.type_url == ROUTES
    assert reply.names == (NAME,)
    assert GONE.packed in reply.body
    assert _replies(session.on_snapshot(_snapshot(Layer()))) == []

    (again,) = _replies(session.on_snapshot(_snapshot(ALLOWED)))
    assert ALLOWED[NAME].packed in again.body


def test_only_egress_routes_are_replaced() -> None:
    assert revoked(ROUTES, "rds-outbound.shop/web|80") is None
    assert revoked(LISTENER, NAME) is None


def test_a_client_that_never_held_them_is_told_nothing() -> None:
    session = DeltaSession(composer=Composer(identifier="t"), rejections=Rejections())
    session.on_snapshot(_snapshot(Layer()))

    assert session.on_request(DeltaRequest(ROUTES, node=NODE, subscribe=(NAME,))) == []
