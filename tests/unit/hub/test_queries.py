"""Queries: an answer is computed again only when something it was made from has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from support.identities import identity
from support.objects import fill, namespace, new_store, pod, port, service
from towpath.hub.queries import Queries
from towpath.model.identity import slot_of
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind
from towpath.store import Store


class World:
    """A store, a queries of it, and how often each question below was really answered."""

    def __init__(self) -> None:
        self.store = new_store()
        fill(self.store, namespace("shop"), namespace("other", mesh=None))
        self.queries = Queries(self.store.drain()[0])
        self.answered: Counter[str] = Counter()

    def advance(self) -> None:
        self.queries.update(*self.store.drain())

    def name_of(self, mesh: Mesh, name: str) -> str | None:
        self.answered[f"name_of {name}"] += 1
        found = mesh.service("shop", name)
        return found.name if found else None

    def ports_of(self, mesh: Mesh, name: str) -> tuple[int, ...]:
        self.answered[f"ports_of {name}"] += 1
        found = mesh.service("shop", name)
        return tuple(p.port for p in found.ports) if found else ()

    def total(self, mesh: Mesh, *names: str) -> tuple[int, ...]:
        self.answered["total"] += 1
        return (sum(sum(mesh.query(self.ports_of, name)) for name in names),)

    def key_of(self, mesh: Mesh, name: str) -> bytes | None:
        self.answered[f"key_of {name}"] += 1
        leaf = mesh.leaf(Account("shop", name))
        return leaf.private_key if leaf else None

    def roster(self, mesh: Mesh) -> tuple[str, ...]:
        self.answered["roster"] += 1
        return tuple(s.name for s in mesh.services("shop"))


@pytest.fixture
def world() -> World:
    return World()


def test_an_answer_is_computed_once(world: World) -> None:
    world.store.apply(service("a"))
    world.advance()

    assert world.queries.get(world.name_of, "a") == "a"
    assert world.queries.get(world.name_of, "a") == "a"
    assert world.answered == {"name_of a": 1}
    assert world.queries.counts.computed == 1


def test_a_change_recomputes_only_the_answers_that_read_it(world: World) -> None:
    world.store.apply(service("a"))
    world.store.apply(service("b"))
    world.advance()
    world.queries.get(world.name_of, "a")
    world.queries.get(world.name_of, "b")
    world.queries.get(world.roster)

    world.store.apply(service("b", port(81)))
    world.store.apply(pod("unread"))
    world.advance()
    world.queries.get(world.name_of, "a")
    world.queries.get(world.name_of, "b")
    world.queries.get(world.roster)

    assert world.answered == {"name_of a": 1, "name_of b": 2, "roster": 2}


def test_an_object_that_appears_changes_the_answer_that_had_missed_it(world: World) -> None:
    assert world.queries.get(world.name_of, "late") is None

    world.store.apply(service("late"))
    world.advance()

    assert world.queries.get(world.name_of, "late") == "late"


def test_a_group_that_was_empty_is_read_too(world: World) -> None:
    assert world.queries.get(world.roster) == ()

    world.store.apply(service("late"))
    world.advance()

    assert world.queries.get(world.roster) == ("late",)


def test_an_equal_answer_keeps_its_identity_and_stops_what_would_follow(world: World) -> None:
    world.store.apply(service("a", port(1)))
    world.store.apply(service("b", port(2)))
    world.advance()
    total = world.queries.get(world.total, "a", "b")
    ports = world.queries.get(world.ports_of, "a")

    world.store.apply(service("a", port(1, name="renamed")))
    world.advance()

    assert world.queries.get(world.total, "a", "b") is total
    assert world.queries.get(world.ports_of, "a") is ports
    assert world.answered == {"total": 1, "ports_of a": 2, "ports_of b": 1}


def test_a_changed_answer_is_passed_on_to_those_made_from_it(world: World) -> None:
    world.store.apply(service("a", port(1)))
    world.store.apply(service("b", port(2)))
    world.advance()
    world.queries.get(world.total, "a", "b")

    world.store.apply(service("b", port(5)))
    world.advance()

    assert world.queries.get(world.total, "a", "b") == (6,)
    assert world.answered == {"total": 2, "ports_of a": 1, "ports_of b": 2}


def test_an_answer_that_was_skipped_for_some_changes_is_right_when_it_is_asked_again(
    world: World,
) -> None:
    world.store.apply(service("a", port(1)))
    world.advance()
    world.queries.get(world.total, "a")
    for number in (2, 3):
        world.store.apply(service("a", port(number)))
        world.advance()
        world.queries.get(world.ports_of, "a")

    world.store.apply(pod("unread"))
    world.advance()

    assert world.queries.get(world.total, "a") == (3,)


def test_update_names_the_questions_that_may_have_another_answer(world: World) -> None:
    world.store.apply(service("a"))
    world.store.apply(service("b"))
    world.advance()
    world.queries.get(world.total, "a")
    world.queries.get(world.total, "b")

    world.store.apply(service("a", port(7)))
    changed = world.queries.update(*world.store.drain())

    assert {(world.total, ("a",)), (world.ports_of, ("a",))} == set(changed)


def test_a_question_still_unasked_since_the_last_change_is_named_again(world: World) -> None:
    world.queries.get(world.name_of, "a")
    world.store.apply(service("a"))
    world.advance()

    world.store.apply(service("a", port(7)))
    changed = world.queries.update(*world.store.drain())

    assert {(world.name_of, ("a",))} == set(changed)


class _Counted:
    """An argument that counts how often it is hashed."""

    def __init__(self) -> None:
        self.hashes = 0

    def __hash__(self) -> int:
        self.hashes += 1
        return 0


@pytest.mark.parametrize("name", ["verified", "asked again"])
def test_a_dependency_is_not_looked_up_again(world: World, name: str) -> None:
    counted = _Counted()

    def inner(mesh: Mesh, _: _Counted) -> bool:
        return mesh.service("shop", "verified") is not None

    def outer(mesh: Mesh) -> object:
        return mesh.service("shop", "asked again"), mesh.query(inner, counted)

    world.store.apply(service("verified"))
    world.advance()
    world.queries.get(outer)
    world.store.apply(service(name, port(7)))
    world.advance()
    before = counted.hashes

    world.queries.get(outer)

    assert before == counted.hashes


def test_forgetting_an_answer_releases_what_only_it_used(world: World) -> None:
    world.queries.get(world.total, "a", "b")
    world.queries.get(world.total, "b", "c")

    world.queries.forget(world.total, "a", "b")

    assert world.queries.counts.remembered == 3
    world.queries.forget(world.total, "b", "c")
    assert _nothing_is_left(world.queries)


def test_an_answer_that_others_use_outlives_being_forgotten(world: World) -> None:
    world.queries.get(world.total, "a")

    world.queries.forget(world.ports_of, "a")
    world.queries.get(world.total, "a")

    assert world.answered == {"total": 1, "ports_of a": 1}


def test_forgetting_what_was_never_asked_is_no_error(world: World) -> None:
    world.queries.forget(world.total, "never")

    assert _nothing_is_left(world.queries)


def test_what_a_new_answer_no_longer_uses_is_dropped(world: World) -> None:
    def of_all(mesh: Mesh) -> tuple[tuple[int, ...], ...]:
        return tuple(mesh.query(world.ports_of, s.name) for s in mesh.services("shop"))

    for name in ("a", "b"):
        world.store.apply(service(name))
    world.advance()
    world.queries.get(of_all)
    assert world.queries.counts.remembered == 3

    world.store.delete(Kind.SERVICE, "shop", "b")
    world.advance()
    world.queries.get(of_all)

    assert world.queries.counts.remembered == 2


class Failing:
    """Questions of which the inner one fails while service `switch` exists."""

    def inner(self, mesh: Mesh, name: str) -> tuple[int, ...]:
        found = mesh.service("shop", name)
        if mesh.service("shop", "switch"):
            raise RuntimeError("switched off")
        return tuple(p.port for p in found.ports) if found else ()

    def outer(self, mesh: Mesh) -> tuple[tuple[int, ...], ...]:
        return tuple(mesh.query(self.inner, s.name) for s in mesh.services("shop"))


@pytest.fixture
def failing(world: World) -> Iterator[Failing]:
    questions = Failing()
    world.store.apply(service("a", port(1)))
    world.advance()
    yield questions
    world.queries.forget(questions.outer)
    assert _nothing_is_left(world.queries)


@pytest.mark.parametrize("asked_before", [True, False])
def test_after_an_exception_nothing_stale_is_trusted(
    *, world: World, failing: Failing, asked_before: bool
) -> None:
    if asked_before:
        assert world.queries.get(failing.outer) == ((1,),)
    world.store.apply(service("switch"))
    world.store.apply(service("a", port(2)))
    world.advance()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="switched off"):
            world.queries.get(failing.outer)

    world.store.delete(Kind.SERVICE, "shop", "switch")
    world.advance()

    assert world.queries.get(failing.outer) == ((2,),)


def test_a_question_that_failed_is_named_when_what_it_read_changes(
    world: World, failing: Failing
) -> None:
    world.store.apply(service("switch"))
    world.advance()
    with pytest.raises(RuntimeError):
        world.queries.get(failing.outer)

    world.store.apply(service("a", port(9)))
    changed = world.queries.update(*world.store.drain())

    assert (failing.outer, ()) in changed


def test_a_question_that_failed_leaves_nothing_behind_when_it_is_forgotten(
    world: World, failing: Failing
) -> None:
    world.store.apply(service("b"))
    world.advance()
    world.queries.get(failing.outer)
    world.store.delete(Kind.SERVICE, "shop", "b")
    world.store.apply(service("switch"))
    world.advance()
    with pytest.raises(RuntimeError):
        world.queries.get(failing.outer)

    world.queries.forget(failing.outer)

    assert _nothing_is_left(world.queries)


def _nothing_is_left(queries: Queries) -> bool:
    return queries.counts.remembered == 0 and not queries._inputs


def test_the_store_and_the_memo_agree_on_what_a_look_up_is_called(world: World) -> None:
    """Every typed look-up of a mesh is touched by the change that alters its answer."""
    lookups: tuple[Callable[[Mesh], object], ...] = (
        lambda mesh: mesh.services("shop"),
        lambda mesh: mesh.services_by_selector("shop", ("app", "x")),
        lambda mesh: mesh.service("shop", "x"),
        lambda mesh: mesh.monitored("new"),
        lambda mesh: mesh.monitored_namespaces(),
    )
    before = [world.queries.get(question) for question in lookups]

    _add(world.store)
    world.advance()

    for question, old in zip(lookups, before, strict=True):
        assert old != world.queries.get(question)


def _add(store: Store) -> None:
    store.apply(service("x"))
    store.apply(namespace("new"))


def test_a_renewed_leaf_touches_only_what_was_made_of_it(world: World) -> None:
    one, other = "web", "api"
    assert slot_of(Account("shop", one)) != slot_of(Account("shop", other))
    world.store.identify(identity())
    world.advance()
    before = [world.queries.get(world.key_of, name) for name in (one, other)]

    world.store.identify(identity(later=(slot_of(Account("shop", one)),)))
    world.advance()
    after = [world.queries.get(world.key_of, name) for name in (one, other)]

    assert [False, True] == [x == y for x, y in zip(before, after, strict=True)]
    assert {"key_of web": 2, "key_of api": 1} == world.answered


def test_a_further_root_touches_no_leaf(world: World) -> None:
    world.store.identify(identity())
    world.advance()
    world.queries.get(world.key_of, "web")

    world.store.identify(identity(roots="both"))
    world.advance()
    world.queries.get(world.key_of, "web")

    assert {"key_of web": 1} == world.answered
