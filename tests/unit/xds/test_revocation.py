"""Taking away comes first: routes that are gone are replaced by ones that allow nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.decoded import routes
from support.resources import FakeVocabulary, resource
from support.xds_peer import NODE, delta_session, sotw_session
from towpath.encode.envoy import egress_routes, revoked
from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.model.snapshot import Layer, ResourceSet, Snapshot
from towpath.model.types import LISTENER, ROUTES
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule
from towpath.xds.messages import DeltaRequest, Event, Reply, SotwRequest
from towpath.xds.session import Session

NAME = "rds-egress.80"
RULE = Rule("p/x", 80, Protocol.HTTP, ("a.test",), None, None, None)
ALLOWED = egress_routes(egress_plan((RULE,), passthrough=False))
NARROWED = egress_routes(
    egress_plan((replace(RULE, matches=(RequestMatch("/get"),)),), passthrough=False)
)
GONE = revoked(ROUTES, NAME)


def _snapshot(routes: Layer, *, listener: str = "1") -> Snapshot:
    sets = {
        ROUTES: ResourceSet(ROUTES, (routes,)),
        LISTENER: ResourceSet(LISTENER, (Layer((resource(LISTENER, "out", listener),)),)),
    }
    return Snapshot(sets, FakeVocabulary(revoked=revoked))


def _sotw() -> Session:
    session = sotw_session()
    session.on_snapshot(_snapshot(ALLOWED))
    session.on_request(SotwRequest(ROUTES, node=NODE, names=frozenset({NAME})))
    return session


def _delta() -> Session:
    session = delta_session()
    session.on_snapshot(_snapshot(ALLOWED))
    session.on_request(DeltaRequest(ROUTES, node=NODE, subscribe=frozenset((NAME,))))
    return session


def _with_listeners() -> list[Session]:
    """Sessions of clients that follow listeners too."""
    sotw, delta = _sotw(), _delta()
    sotw.on_request(SotwRequest(LISTENER, node=NODE))
    delta.on_request(DeltaRequest(LISTENER, node=NODE))
    return [sotw, delta]


SUBSCRIBED = pytest.mark.parametrize("made", [0, 1], ids=["sotw", "delta"])
SESSIONS = pytest.mark.parametrize("session", [_sotw(), _delta()], ids=["sotw", "delta"])


def _replies(events: list[Event]) -> list[Reply]:
    return [event for event in events if isinstance(event, Reply)]


@SESSIONS
def test_routes_that_are_gone_are_replaced_not_removed(session: Session) -> None:
    assert GONE is not None
    (reply,) = _replies(session.on_snapshot(_snapshot(Layer())))

    assert reply.type_url == ROUTES
    assert reply.names == (NAME,)
    assert GONE.packed in reply.body
    assert _replies(session.on_snapshot(_snapshot(Layer()))) == []

    (again,) = _replies(session.on_snapshot(_snapshot(ALLOWED)))
    assert ALLOWED[NAME].packed in again.body


@SUBSCRIBED
def test_taking_away_comes_before_all_that_is_pushed(made: int) -> None:
    """The listener no longer names the routes, and comes second."""
    session = _with_listeners()[made]
    replies = _replies(session.on_snapshot(_snapshot(Layer(), listener="2")))

    assert [reply.type_url for reply in replies] == [ROUTES, LISTENER]
    assert replies[0].names == (NAME,)


@SUBSCRIBED
def test_routes_that_are_only_narrowed_are_pushed_as_they_are(made: int) -> None:
    session = _with_listeners()[made]
    (reply,) = _replies(session.on_snapshot(_snapshot(NARROWED)))

    assert NARROWED[NAME].packed in reply.body
    assert NARROWED[NAME].version != ALLOWED[NAME].version


def test_what_replaces_routes_allows_nothing_at_all() -> None:
    assert GONE is not None
    assert list(routes(GONE).virtual_hosts) == []
    assert routes(GONE).name == NAME


def test_a_snapshot_takes_nothing_away_unless_told_how() -> None:
    assert Snapshot({}).vocabulary.revoked(ROUTES, NAME) is None


def test_only_egress_routes_are_replaced() -> None:
    assert revoked(ROUTES, "rds-outbound.shop/web|80") is None
    assert revoked(LISTENER, NAME) is None


def test_a_client_that_never_held_them_is_told_nothing() -> None:
    session = delta_session()
    session.on_snapshot(_snapshot(Layer()))

    assert session.on_request(DeltaRequest(ROUTES, node=NODE, subscribe=frozenset((NAME,)))) == []
