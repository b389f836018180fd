"""Events: one for each object and reason, named after what it says."""

from __future__ import annotations

from dataclasses import replace

from support.objects import egress, mesh_of, service
from towpath.model.codes import Code
from towpath.model.names import ObjectRef, Stamp
from towpath.model.problem import Problem
from towpath.status.events import Event, events

POLICY = replace(egress(), stamp=Stamp("u-1", 2))


def _told(*problems: Problem) -> list[Event]:
    return list(events(mesh_of(POLICY, service()), problems))


def _problem(code: Code = Code.MISSING_ROUTE, message: str = "gone") -> Problem:
    return Problem(POLICY.ref, "spec.matches", code, message)


def test_problems_of_one_reason_are_one_event() -> None:
    told = _told(_problem(message="a"), _problem(message="b"), _problem(Code.CONFLICTING_SETTING))

    assert ["spec.matches: a; spec.matches: b", "spec.matches: gone"] == [e.note for e in told]
    assert {"u-1"} == {event.uid for event in told}


def test_the_same_said_twice_has_one_name() -> None:
    (first,), (again,), (other,) = (
        _told(_problem()),
        _told(_problem()),
        _told(_problem(message="x")),
    )

    assert first.name == again.name
    assert first.name != other.name


def test_what_may_be_wanted_so_is_not_told() -> None:
    assert [] == _told(_problem(Code.EGRESS_OFF), _problem(Code.POLICY_OUTSIDE_MESH))


def test_only_our_own_kinds_that_are_held_are_told_of() -> None:
    gone = Problem(ObjectRef("Egress", "shop", "gone"), "", Code.INVALID_VALUE, "x")
    foreign = Problem(service().ref, "spec", Code.INVALID_VALUE, "x")

    assert [] == _told(gone, foreign)


def test_an_event_says_what_it_is_about() -> None:
    (event,) = _told(_problem())
    document = event.document(now="2026-11-23T03:00:00.000000Z", instance="me")

    assert document["regarding"]["uid"] == "u-1"
    assert (document["type"], document["reason"]) == ("Warning", "Missing")
    assert len(event.name) <= 253
