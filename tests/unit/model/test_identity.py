"""What the mesh says of identities, and that it keeps their keys to itself."""

from __future__ import annotations

from dataclasses import replace

from support.identities import BEGIN, LENGTH, StubSigner, identity
from support.objects import mesh_of
from towpath.model.identity import SLOTS, slot_of
from towpath.model.names import Account

CURL = Account("curl", "curl")


def test_without_an_authority_there_are_neither_leaves_nor_roots() -> None:
    mesh = mesh_of()

    assert (None, None) == (mesh.leaf(CURL), mesh.roots())


def test_an_account_has_the_leaf_of_its_slots_window() -> None:
    mesh = replace(mesh_of(), identity=identity(later=(slot_of(CURL),)))

    leaf = mesh.leaf(CURL)

    assert leaf is not None
    assert (CURL, BEGIN + LENGTH) == (leaf.account, leaf.not_before)
    assert identity().roots == mesh.roots()


def test_slots_are_the_same_everywhere_and_spread_accounts() -> None:
    accounts = [Account("shop", f"account-{number}") for number in range(2000)]
    slots = [slot_of(account) for account in accounts]

    assert 96 == slot_of(CURL)
    assert set(slots) <= set(range(SLOTS))
    assert len(set(slots)) > 0.95 * SLOTS
    assert max(map(slots.count, set(slots))) < 30


def test_no_repr_shows_a_key() -> None:
    mesh = replace(mesh_of(), identity=identity())
    leaf = mesh.leaf(CURL)

    assert leaf is not None
    assert leaf == StubSigner().leaf(CURL, identity().windows[slot_of(CURL)])
    assert leaf.private_key.decode() not in repr(leaf)
