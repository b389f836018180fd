"""The store: what a change is, which look-ups it touches, and when everything is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.identities import identity
from support.objects import endpoint_slice, mesh_config, namespace, pod, port, service
from towpath.model.codes import Code
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.settings import MeshSettings
from towpath.store import Store

WEB = service("web")


class Changes:
    """Counts the calls of `on_change`."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def store(changes: Changes) -> Store:
    return Store(MeshSettings().scope, on_change=changes)


def test_an_object_equal_to_the_one_held_changes_nothing(store: Store, changes: Changes) -> None:
    store.apply(WEB)
    view, _ = store.drain()
    before = changes.count

    store.apply(service("web"))

    assert before == changes.count
    assert (view, frozenset()) == store.drain()
    assert view is store.drain()[0]


def test_a_new_object_touches_its_key_and_all_its_groups(store: Store) -> None:
    store.apply(WEB)

    _, touched = store.drain()

    assert {
        (Kind.SERVICE, "shop", "web"),
        (Kind.SERVICE, "all"),
        (Kind.SERVICE, ("namespace", "shop")),
        (Kind.SERVICE, ("selector", "shop", ("app", "web"))),
    } == touched


def test_an_object_that_changes_groups_touches_the_old_and_the_new_ones(store: Store) -> None:
    store.apply(WEB)
    store.drain()

    store.apply(service("web", selector={"app": "other"}))
    mesh, touched = store.drain()

    assert (Kind.SERVICE, ("selector", "shop", ("app", "web"))) in touched
    assert (Kind.SERVICE, ("selector", "shop", ("app", "other"))) in touched
    assert () == mesh.services_by_selector("shop", ("app", "web"))
    assert (service("web", selector={"app": "other"}),) == mesh.services_by_selector(
        "shop", ("app", "other")
    )


def test_a_deleted_object_touches_its_key_and_groups_and_is_in_none_of_them(store: Store) -> None:
    store.apply(endpoint_slice("web", "10.0.0.1"))
    store.drain()

    store.delete(Kind.ENDPOINT_SLICE, "shop", "web-1")
    mesh, touched = store.drain()

    assert {
        (Kind.ENDPOINT_SLICE, "shop", "web-1"),
        (Kind.ENDPOINT_SLICE, "all"),
        (Kind.ENDPOINT_SLICE, ("service", "shop", "web")),
    } == touched
    assert () == mesh.slices("shop", "web")
    assert () == mesh.group(Kind.ENDPOINT_SLICE, "all")
    assert mesh.get(Kind.ENDPOINT_SLICE, "shop", "web-1") is None


def test_deleting_an_unknown_object_is_no_change(store: Store, changes: Changes) -> None:
    store.delete(Kind.POD, "shop", "nobody")

    assert changes.count == 0
    assert frozenset() == store.drain()[1]


def test_a_view_never_changes_once_it_was_handed_out(store: Store) -> None:
    store.apply(WEB)
    store.apply(pod("web-1"))
    early, _ = store.drain()
    everything = _contents(early)

    store.apply(service("web", port(81)))
    store.apply(service("other", ips=("10.96.0.2",)))
    store.delete(Kind.POD, "shop", "web-1")
    store.report("here", [_problem("late")])
    late, _ = store.drain()

    assert everything == _contents(early)
    assert everything != _contents(late)


def test_a_group_that_was_emptied_and_filled_again_between_two_views_is_whole(
    store: Store,
) -> None:
    store.apply(WEB)
    early, _ = store.drain()

    store.delete(Kind.SERVICE, "shop", "web")
    store.apply(service("next"))
    store.apply(WEB)
    late, _ = store.drain()

    assert (WEB,) == early.services("shop")
    assert ("next", "web") == tuple(s.name for s in late.services("shop"))


def test_replacing_all_drops_what_is_not_said_and_keeps_other_kinds(store: Store) -> None:
    store.apply(WEB)
    store.apply(service("gone"))
    store.apply(pod("web-1"))
    store.drain()

    store.replace_all(Kind.SERVICE, [service("web"), service("new")])
    mesh, touched = store.drain()

    assert ("new", "web") == tuple(s.name for s in mesh.services("shop"))
    assert (pod("web-1"),) == mesh.group(Kind.POD, "all")
    assert (Kind.SERVICE, "shop", "gone") in touched
    assert (Kind.SERVICE, "shop", "web") not in touched


def test_replacing_all_with_what_is_held_changes_nothing(store: Store, changes: Changes) -> None:
    store.replace_all(Kind.SERVICE, [WEB, service("b")])
    store.drain()
    before = changes.count

    store.replace_all(Kind.SERVICE, [service("b"), service("web")])

    assert before == changes.count
    assert frozenset() == store.drain()[1]


def test_the_store_is_synced_only_when_every_kind_is_listed(store: Store) -> None:
    for kind in Kind:
        assert not store.synced
        if kind is Kind.SERVICE:
            store.replace_all(kind, [])
        else:
            store.listed(kind)

    assert store.synced


def test_objects_alone_do_not_make_a_kind_listed(store: Store) -> None:
    for kind in set(Kind) - {Kind.SERVICE}:
        store.listed(kind)
    store.apply(WEB)

    assert not store.synced


def test_listing_a_kind_tells_of_a_change_once(store: Store, changes: Changes) -> None:
    store.replace_all(Kind.POD, [])
    store.replace_all(Kind.POD, [])
    store.listed(Kind.POD)

    assert changes.count == 1


def test_an_origin_replaces_its_own_problems_only(store: Store) -> None:
    store.report("a.yaml", [_problem("one"), _problem("two")])
    store.report("b.yaml", [_problem("three")])

    store.report("a.yaml", [_problem("four")])

    assert (_problem("four"), _problem("three")) == store.drain()[0].problems


def test_problems_are_sorted_and_each_is_told_once(store: Store) -> None:
    store.report("b", [_problem("z"), _problem("a")])
    store.report("a", [_problem("z")])

    assert (_problem("a"), _problem("z")) == store.drain()[0].problems


def test_equal_problems_are_no_change_and_none_at_all_takes_them_back(
    store: Store, changes: Changes
) -> None:
    store.report("a", [])
    store.report("a", [_problem("one")])
    store.report("a", iter([_problem("one")]))
    assert changes.count == 1

    store.report("a", [])

    assert changes.count == 2
    assert () == store.drain()[0].problems


def test_a_reported_problem_touches_no_look_up_but_makes_a_new_view(store: Store) -> None:
    before, _ = store.drain()

    store.report("a", [_problem("one")])
    after, touched = store.drain()

    assert frozenset() == touched
    assert () == before.problems
    assert (_problem("one"),) == after.problems


def test_a_view_knows_the_mesh_that_the_store_was_made_for(store: Store) -> None:
    store.apply(namespace("shop"))
    store.apply(namespace("other", mesh="another"))
    store.apply(mesh_config(egress=True))
    store.apply(replace(mesh_config(), namespace="elsewhere"))

    mesh, _ = store.drain()

    assert ("shop",) == mesh.monitored_namespaces()
    assert mesh.monitored("shop")
    assert not mesh.monitored("other")
    assert not mesh.monitored("absent")
    assert mesh_config(egress=True) == mesh.config()


def _problem(message: str) -> Problem:
    return Problem(ObjectRef("Service", "shop", "web"), "", Code.INVALID_VALUE, message)


def _contents(mesh: Mesh) -> object:
    members = {group: tuple(found) for group, found in mesh.members.items()}
    return dict(mesh.objects), members, mesh.problems


def test_all_of_a_kind_are_held_in_order(store: Store) -> None:
    store.apply(service("web"))
    store.apply(service("api"))
    store.apply(pod("web-1"))

    assert ["api", "web"] == [held.name for held in store.held(Kind.SERVICE)]
    assert () == store.held(Kind.EGRESS)


def test_an_identity_touches_the_parts_of_it_that_differ(store: Store, changes: Changes) -> None:
    store.identify(identity())
    store.drain()
    before = changes.count

    store.identify(identity())
    same = store.drain()[1]
    store.identify(identity(later=(7,)))
    renewed = store.drain()[1]
    store.identify(identity("other", later=(7,)))
    signed = store.drain()[1]
    store.identify(identity("other", roots="both", later=(7,)))
    mesh, trusted = store.drain()

    assert frozenset() == same
    assert {("identity", 7)} == renewed
    assert {("identity", "signer")} == signed
    assert {("identity", "roots")} == trusted
    assert before + 3 == changes.count
    assert identity("other", roots="both", later=(7,)) == mesh.identity


def test_a_store_that_needs_an_identity_is_not_synced_without_one(changes: Changes) -> None:
    store = Store(MeshSettings().scope, on_change=changes, needs_identity=True)
    for kind in Kind:
        store.listed(kind)
    before = store.synced

    store.identify(identity())

    assert (False, True) == (before, store.synced)
