"""New content is tried on a few first, and what is rejected stops at them."""

from __future__ import annotations

import gc
import math
import weakref

import pytest

from support.fake_time import Clock
from support.objects import mesh_of
from support.resources import FakeVocabulary, resource, snapshot
from towpath.hub.comparison import Comparisons
from towpath.hub.queries import Queries
from towpath.model.names import Account, ClientKind
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import ENDPOINTS, ROUTES
from towpath.rollout.changes import Change
from towpath.rollout.clients import LIMIT, LONGEST_TEXT, ClientRecord
from towpath.rollout.cohort import Cohort
from towpath.rollout.content import ClientBuild, Content, State, content
from towpath.rollout.quarantine import MOST_BUILDS, Quarantine
from towpath.settings import RolloutSettings

ENVOY = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
OLDER = ClientBuild(ClientKind.ENVOY, "envoy", "1.39.0")
NEW = resource(ROUTES, "r", "2")
NAME = {"r"}


class FakeStream:
    """A stream that notes whose it is when it is nudged."""

    def __init__(self, name: str, nudged: list[str]) -> None:
        self._name = name
        self._nudged = nudged

    def nudge(self) -> None:
        self._nudged.append(self._name)


class Fleet:
    """Clients a, b, c, … of one account each, whose snapshots go from one to another: all of them,
    or, without *others*, that of client a.
    """

    def __init__(self, *, accounts: int = 4, others: bool = True, canaries: int = 2) -> None:
        self.clock = Clock()
        self.nudged: list[str] = []
        settings = RolloutSettings(canaries=canaries, canary_wait=1.0, quarantine_expiry=60.0)
        self.quarantine = Quarantine(settings, clock=self.clock)
        self.streams: dict[str, FakeStream] = {}
        self._others = others
        self.clients = [self.client(name, ENVOY) for name in "abcdefgh"[:accounts]]

    def client(self, name: str, build: ClientBuild) -> ClientRecord:
        client = self.quarantine.client(f"{name}.shop", build, Account("shop", name))
        self.streams[client.node_id] = FakeStream(name, self.nudged)
        client.open(self.streams[client.node_id])
        return client

    def leave(self, client: ClientRecord) -> None:
        """Its stream ends."""
        self.quarantine.close(client, self.streams[client.node_id])

    def change(self, type_url: str = ROUTES, content: str = "2") -> Snapshot:
        before, after = snapshot({type_url: {"r": "1"}}), snapshot({type_url: {"r": content}})
        self.quarantine.changed(ENVOY, changes(self.quarantine, before, after))
        self.show(after)
        return after

    def show(self, after: Snapshot) -> None:
        for client in self.clients if self._others else self.clients[:1]:
            client.show(self.streams[client.node_id], after)

    def take_back(self) -> None:
        """Everybody is to hold again what was there before `change`."""
        self.show(snapshot({ROUTES: {"r": "1"}}))
        self.quarantine.retire()

    def given(self, to: Snapshot, type_url: str = ROUTES) -> str:
        """Names of the clients that are sent the new content now."""
        return "".join(c.node_id[0] for c in self.clients if sent(c, to, type_url))


def sent(client: ClientRecord, after: Snapshot, type_url: str = ROUTES) -> bool:
    """Whether the client is sent all of that type, as a session would."""
    resources = after.of(type_url)
    blocked = client.blocked(resources)
    client.enrol(resource for name, resource in resources.items() if name not in blocked)
    return not blocked


def changes(quarantine: Quarantine, old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """What is new in a snapshot, worked out at once."""
    return Comparisons(quarantine.intersections, Queries(mesh_of()).do).between(old, new)


def _reject(client: ClientRecord, what: Resource = NEW, text: str = "r: no") -> tuple[str, ...]:
    return client.rejected(what.type_url, {what.name: what}, {}, text)


def test_new_content_goes_to_two_of_different_accounts_and_to_all_when_one_accepts() -> None:
    fleet = Fleet()
    after = fleet.change()
    assert "ab" == fleet.given(after)

    fleet.clients[0].accepted(ROUTES, {"r": NEW})

    assert ["c", "d"] == fleet.nudged
    assert "abcd" == fleet.given(after)


def test_pods_of_one_account_are_one_canary() -> None:
    fleet = Fleet(accounts=1)
    twin = fleet.quarantine.client("a2.shop", ENVOY, Account("shop", "a"))
    after = fleet.change()

    assert sent(fleet.clients[0], after)
    assert not sent(twin, after)


def test_silence_delays_the_others_no_longer_than_the_wait() -> None:
    fleet = Fleet()
    after = fleet.change()
    fleet.given(after)
    assert fleet.quarantine.next_at == fleet.clock.now + 1.0
    fleet.clock.now += 1.0

    fleet.quarantine.pass_time()

    assert "abcd" == fleet.given(after)
    assert fleet.quarantine.next_at == math.inf
    fleet.change()
    assert "abcd" == fleet.given(after)  # it is not tried a second time


def test_two_identities_that_reject_speak_for_all() -> None:
    fleet = Fleet()
    after = fleet.change()
    fleet.given(after)

    assert ("r",) == _reject(fleet.clients[0])
    assert "bcd"[:1] == fleet.given(after)
    _reject(fleet.clients[1])

    (quarantined,) = fleet.quarantine.quarantined()
    assert [("a.shop", "r: no"), ("b.shop", "r: no")] == [
        (r.node_id, r.text) for r in quarantined.rejections
    ]
    assert "" == fleet.given(after)
    late = fleet.client("z", ENVOY)
    assert frozenset(NAME) == late.blocked(after.of(ROUTES))
    assert sent(fleet.client("y", OLDER), after)


def test_one_speaks_for_all_where_there_is_no_other() -> None:
    fleet = Fleet(others=False)
    fleet.change()
    _reject(fleet.clients[0])

    assert [content(NEW)] == [content(q.resource) for q in fleet.quarantine.quarantined()]


def test_who_rejects_what_a_peer_accepted_is_alone() -> None:
    fleet = Fleet(others=False)
    after = fleet.change()
    fleet.given(after)
    fleet.clients[1].accepted(ROUTES, {"r": NEW})

    _reject(fleet.clients[0])

    assert [] == list(fleet.quarantine.quarantined())
    assert "bcd" == fleet.given(after)
    assert [fleet.clients[0]] == list(fleet.quarantine.clients())


def test_who_rejects_everything_changes_nothing_for_others() -> None:
    fleet = Fleet()
    hostile = fleet.clients[0]
    for number in range(50):
        what = resource(ROUTES, "r", f"x{number}")
        after = fleet.change(content=f"x{number}")
        fleet.given(after)
        hostile.rejected(ROUTES, {"r": what}, {}, "no")
        fleet.clients[1].accepted(ROUTES, {"r": what})
        assert "bcd" == fleet.given(after)

    assert [] == list(fleet.quarantine.quarantined())


def test_a_canary_that_rejects_is_followed_by_another() -> None:
    fleet = Fleet(canaries=1)
    after = fleet.change()
    assert "a" == fleet.given(after)
    _reject(fleet.clients[0])

    assert "b" == fleet.given(after)


def test_a_rejection_ends_with_the_content_it_speaks_of() -> None:
    fleet = Fleet(others=False)
    after = fleet.change()
    _reject(fleet.clients[0])
    assert fleet.quarantine

    fleet.take_back()

    assert "abcd" == fleet.given(after)
    assert not fleet.quarantine
    assert "ab" == fleet.given(fleet.change(content="3"))


def test_what_was_taken_back_before_anybody_answered_is_tried_when_it_comes_again() -> None:
    fleet = Fleet()
    assert "ab" == fleet.given(fleet.change())
    fleet.take_back()

    assert "ab" == fleet.given(fleet.change())


def test_what_was_rejected_and_taken_back_is_tried_when_it_comes_again() -> None:
    fleet = Fleet()
    fleet.given(fleet.change())
    _reject(fleet.clients[0])
    _reject(fleet.clients[1])
    assert "" == fleet.given(fleet.change())
    fleet.take_back()

    assert "ab" == fleet.given(fleet.change())


def test_what_was_accepted_and_taken_back_goes_to_all_when_it_comes_again() -> None:
    fleet = Fleet()
    fleet.given(fleet.change())
    fleet.clients[0].accepted(ROUTES, {"r": NEW})
    fleet.take_back()

    assert "abcd" == fleet.given(fleet.change())


def test_what_stood_in_for_rejected_content_is_remembered_as_long_as_that() -> None:
    fleet = Fleet()
    stood_in = resource(ROUTES, "r", "closed")
    fleet.change()
    for what in (NEW, stood_in):
        for client in fleet.clients[:2]:
            _reject(client, what)

    fleet.quarantine.retire()
    assert fleet.quarantine.refuses(ENVOY, stood_in)
    assert all(client.refuses(stood_in) for client in fleet.clients)

    fleet.take_back()
    assert not fleet.quarantine.refuses(ENVOY, stood_in)
    assert not fleet.quarantine


def test_a_rejection_ends_with_the_content_that_is_accepted_in_its_place() -> None:
    fleet = Fleet()
    fleet.given(fleet.change())
    for client in fleet.clients[:3]:
        _reject(client)
    fleet.leave(fleet.clients[2])
    fleet.clients.pop(2)
    mended = fleet.change(content="3")
    fleet.quarantine.retire()  # while the new content is on trial
    assert ["a", "b"] == [client.node_id[0] for client in fleet.quarantine.clients()]

    for client in fleet.clients:
        client.accepted(ROUTES, dict(mended.of(ROUTES).items()))

    assert [] == list(fleet.quarantine.clients())


def _expire(fleet: Fleet) -> None:
    assert fleet.quarantine.next_at == fleet.clock.now + 60.0
    fleet.clock.now += 60.0
    fleet.nudged.clear()
    fleet.quarantine.pass_time()


def _quarantined(fleet: Fleet) -> Snapshot:
    after = fleet.change()
    fleet.given(after)
    for client in fleet.clients[:2]:
        _reject(client)
    assert "" == fleet.given(after)
    return after


def test_what_was_rejected_is_tried_on_others_after_a_while_and_again() -> None:
    fleet = Fleet(accounts=5)
    after = _quarantined(fleet)
    _expire(fleet)

    assert set("abcde") == set(fleet.nudged)
    assert "cd" == fleet.given(after)
    assert frozenset(NAME) == fleet.clients[4].blocked(after.of(ROUTES))
    for client in fleet.clients[2:4]:
        _reject(client)
    assert "" == fleet.given(after)
    _expire(fleet)
    assert "e" == fleet.given(after)
    _reject(fleet.clients[4])
    _expire(fleet)
    assert "ab" == fleet.given(after)  # all of them have rejected it


def test_what_is_accepted_when_it_is_tried_again_goes_to_all() -> None:
    fleet = Fleet()
    after = _quarantined(fleet)
    _expire(fleet)
    assert "cd" == fleet.given(after)
    fleet.nudged.clear()

    fleet.clients[2].accepted(ROUTES, {"r": NEW})

    assert {"a", "b"} == set(fleet.nudged)
    assert "abcd" == fleet.given(after)
    assert [] == list(fleet.quarantine.quarantined())


def test_whoever_is_silent_when_it_is_tried_again_leaves_it_in_quarantine() -> None:
    fleet = Fleet()
    after = _quarantined(fleet)
    _expire(fleet)
    assert "cd" == fleet.given(after)
    fleet.clock.now += 10.0
    fleet.quarantine.pass_time()

    assert "cd" == fleet.given(after)
    assert fleet.quarantine.refuses(ENVOY, NEW)


def test_what_stood_in_stays_what_it_was_while_it_is_tried_again() -> None:
    fleet = Fleet()
    _quarantined(fleet)
    before = [(client.refuses(NEW), client.base(NEW)) for client in fleet.clients[2:]]
    _expire(fleet)

    assert before == [(client.refuses(NEW), client.base(NEW)) for client in fleet.clients[2:]]
    assert (True, resource(ROUTES, "r", "1")) == before[0]


def test_what_some_had_accepted_before_its_quarantine_goes_to_all_after_it() -> None:
    fleet = Fleet()
    after = _quarantined(fleet)
    fleet.clients[2].accepted(ROUTES, {"r": NEW})
    _expire(fleet)

    assert {"a", "b", "c", "d"} == set(fleet.nudged)
    assert "abcd" == fleet.given(after)


def test_what_only_narrows_waits_for_nobody() -> None:
    fleet = Fleet()
    before, after = snapshot({ROUTES: {"r": "1"}}), snapshot({ROUTES: {"r": "2"}})
    narrowing = Snapshot(after.sets, FakeVocabulary(intersection=lambda _, new: new))

    fleet.quarantine.changed(ENVOY, changes(fleet.quarantine, before, narrowing))

    assert "abcd" == fleet.given(after)


def test_endpoints_are_tried_on_nobody() -> None:
    fleet = Fleet()

    assert "abcd" == fleet.given(fleet.change(ENDPOINTS), ENDPOINTS)


def test_everything_else_of_a_type_goes_to_all_at_once() -> None:
    fleet = Fleet()
    before = snapshot({ROUTES: {"r": "1", "s": "1"}})
    after = snapshot({ROUTES: {"r": "2", "s": "1", "t": "1"}})
    fleet.quarantine.changed(ENVOY, changes(fleet.quarantine, before, after))
    fleet.given(after)

    assert frozenset({"r", "t"}) == fleet.clients[3].blocked(after.of(ROUTES))


def test_what_stands_in_is_made_of_what_was_there_before() -> None:
    fleet = Fleet()
    fleet.change()

    assert resource(ROUTES, "r", "1") == fleet.clients[3].base(NEW)
    assert fleet.clients[3].base(resource(ROUTES, "other", "1")) is None


def test_nothing_stands_in_that_may_be_what_a_client_has_just_rejected() -> None:
    fleet = Fleet()
    between, newest = fleet.change(), snapshot({ROUTES: {"r": "3"}})
    fleet.quarantine.changed(ENVOY, changes(fleet.quarantine, between, newest))
    new = {"r": NEW, "s": resource(ROUTES, "s", "1")}

    assert () == fleet.clients[0].rejected(ROUTES, new, {}, "no")

    assert fleet.clients[0].base(newest.of(ROUTES)["r"]) is None
    assert NEW == fleet.clients[1].base(newest.of(ROUTES)["r"])
    _reject(fleet.clients[2], newest.of(ROUTES)["r"])
    assert () == fleet.clients[2].rejected(ROUTES, new, {}, "no")
    assert NEW == fleet.clients[2].base(newest.of(ROUTES)["r"])  # it is tried by itself


def test_a_client_that_comes_back_as_another_version_begins_anew() -> None:
    fleet = Fleet()
    _reject(fleet.clients[0])

    assert fleet.client("a", OLDER).rejections == {}


def test_a_clients_own_rejections_end_after_a_while_each_at_its_time() -> None:
    fleet = Fleet()
    after = fleet.change()
    fleet.clients[1].accepted(ROUTES, {"r": NEW})
    _reject(fleet.clients[0])
    assert "bcd" == fleet.given(after)
    fleet.clock.now += 20.0
    _reject(fleet.clients[0], resource(ROUTES, "s", "1"))
    fleet.nudged.clear()

    for seconds in (40.0, 20.0):
        assert fleet.quarantine.next_at == fleet.clock.now + seconds
        fleet.clock.now += seconds
        fleet.quarantine.pass_time()

    assert ["a", "a"] == fleet.nudged
    assert "abcd" == fleet.given(after)
    assert math.inf == fleet.quarantine.next_at


def test_a_rejection_that_expires_just_before_something_is_retired_wakes_its_client() -> None:
    fleet = Fleet()
    fleet.change()
    fleet.clients[1].accepted(ROUTES, {"r": NEW})
    _reject(fleet.clients[0])
    fleet.clock.now += 60.0
    fleet.nudged.clear()

    fleet.quarantine.retire()
    fleet.quarantine.pass_time()

    assert ["a"] == fleet.nudged


def test_who_comes_again_as_another_version_each_time_is_not_kept_in_memory() -> None:
    fleet = Fleet()
    kept = weakref.WeakSet[ClientRecord]()

    def come(number: int) -> None:
        client = fleet.client("z", (ENVOY, OLDER)[number % 2])
        _reject(client, resource(ROUTES, "s", str(number)))
        kept.add(client)

    for number in range(20):
        come(number)
    gc.collect()

    assert len(kept) <= 2


def test_a_rejection_of_what_is_no_more_wakes_nobody() -> None:
    fleet = Fleet()
    fleet.change()
    fleet.clients[1].accepted(ROUTES, {"r": NEW})
    _reject(fleet.clients[0])
    fleet.take_back()
    fleet.clock.now += 60.0
    fleet.nudged.clear()

    fleet.quarantine.pass_time()

    assert [] == fleet.nudged
    assert math.inf == fleet.quarantine.next_at


def test_however_many_versions_clients_invent_few_are_told_apart() -> None:
    fleet = Fleet()
    for n in range(500):
        made = fleet.client(f"x{n}", ClientBuild(ClientKind.ENVOY, f"invented {n}"))
        made.accepted(ROUTES, {"r": NEW})

    assert len(fleet.quarantine._cohorts) <= MOST_BUILDS + len(ClientKind)


def test_invented_versions_push_nothing_out_of_quarantine() -> None:
    fleet = Fleet()
    after = fleet.change()
    for client in fleet.clients[:2]:
        sent(client, after)
        _reject(client)
    for client in fleet.clients:
        fleet.leave(client)

    for n in range(500):
        fleet.leave(fleet.client(f"x{n}", ClientBuild(ClientKind.ENVOY, f"invented {n}")))

    assert fleet.quarantine.refuses(ENVOY, NEW)


def test_a_client_that_comes_and_goes_is_forgotten_unless_it_has_rejected_something() -> None:
    fleet = Fleet()
    good, bad = fleet.clients[:2]
    _reject(bad)
    for client in (good, bad):
        fleet.leave(client)

    assert fleet.client("a", ENVOY) is not good
    assert fleet.client("b", ENVOY) is bad


def test_what_is_remembered_of_a_clients_words_has_both_ends_and_a_bound() -> None:
    fleet = Fleet()
    _reject(fleet.clients[0], text=f"r: {'x' * 100_000} the reason")

    (rejection,) = fleet.clients[0].rejections.values()
    assert len(rejection.text) <= LONGEST_TEXT
    assert rejection.text.startswith("r: x")
    assert rejection.text.endswith("x the reason")


def test_a_canary_that_comes_back_is_still_one() -> None:
    fleet = Fleet()
    after = fleet.change()
    assert "ab" == fleet.given(after)
    fleet.leave(fleet.clients[0])

    back = fleet.client("a", ENVOY)

    assert back is not fleet.clients[0]
    assert sent(back, after)


def test_what_others_have_accepted_is_not_noted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = list[Content]()
    conclude = Cohort._conclude

    def counted(cohort: Cohort, of: Content, state: State) -> None:
        noted.append(of)
        conclude(cohort, of, state)

    monkeypatch.setattr(Cohort, "_conclude", counted)
    resources = {f"r{n}": resource(ROUTES, f"r{n}", "1") for n in range(50)}
    for client in Fleet(accounts=8).clients:
        client.accepted(ROUTES, resources)

    assert len(noted) == len(resources)


def test_all_that_a_client_is_to_hold_and_rejects_is_remembered_however_much_it_is() -> None:
    """Else the oldest would be sent again, rejected, and push others out, without an end."""
    fleet = Fleet(accounts=1)
    [client] = fleet.clients
    many = snapshot({ROUTES: {f"r{n}": "1" for n in range(5 * LIMIT)}})
    client.show(fleet.streams[client.node_id], many)

    for one in many.of(ROUTES).values():
        _reject(client, one)

    assert set(many.of(ROUTES)) == client.blocked(many.of(ROUTES))


def test_of_what_a_client_is_not_to_hold_any_more_the_newest_rejections_are_remembered() -> None:
    fleet = Fleet(accounts=1)
    [client] = fleet.clients
    for n in range(5 * LIMIT):
        _reject(client, resource(ROUTES, f"r{n}", "1"))

    assert LIMIT <= len(client.rejections) <= 2 * LIMIT
    assert (ROUTES, f"r{5 * LIMIT - 1}") in {of[:2] for of in client.rejections}
