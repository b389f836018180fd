"""Snapshots: versions are hashes of content, and a comparison names what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.resources import layer, resource, resource_set, snapshot
from towpath.model.snapshot import Layer, ResourceSet, Snapshot, content_hash
from towpath.model.types import CLUSTER, LISTENER

contents = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"))


def test_a_resources_version_is_a_hash_of_its_type_and_bytes() -> None:
    a = resource(CLUSTER, "a", "1")

    assert a.version == resource(CLUSTER, "a", "1").version
    assert a.version != resource(CLUSTER, "a", "2").version
    assert a.version != resource(LISTENER, "a", "1").version


def test_the_length_of_each_part_counts_in_a_hash() -> None:
    assert content_hash(b"ab", b"c") != content_hash(b"a", b"bc")
    assert content_hash(b"ab") != content_hash(b"ab", b"")


def test_a_layers_version_does_not_depend_on_the_order_of_its_resources() -> None:
    a, b = resource(CLUSTER, "a", "1"), resource(CLUSTER, "b", "1")

    assert Layer((a, b)).version == Layer((b, a)).version
    assert Layer((a, b)) == Layer((b, a))
    assert ["a", "b"] == list(Layer((b, a)))


def test_two_resources_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same name"):
        Layer((resource(CLUSTER, "a", "1"), resource(CLUSTER, "a", "2")))


def test_a_sets_version_does_not_depend_on_the_order_of_its_layers_nor_on_empty_ones() -> None:
    one, two = layer(CLUSTER, {"a": "1"}), layer(CLUSTER, {"b": "1"})

    expected = ResourceSet(CLUSTER, (one, two))

    assert expected.version == ResourceSet(CLUSTER, (two, Layer(), one)).version


def test_empty_sets_of_two_types_have_two_versions() -> None:
    assert ResourceSet(CLUSTER).version != ResourceSet(LISTENER).version


def test_a_set_is_one_mapping_over_all_its_layers() -> None:
    held = resource_set(CLUSTER, {"a": "1"}, {"b": "2"})

    assert {"a", "b"} == set(held)
    assert len(held) == 2
    assert resource(CLUSTER, "b", "2") == held["b"]
    assert held.get("c") is None


@given(old=contents, new=contents, shared=st.sampled_from("abcdef"))
def test_what_changed_is_what_was_added_removed_or_has_another_version(
    old: dict[str, str], new: dict[str, str], shared: str
) -> None:
    before = resource_set(CLUSTER, *_split(old, at="d"))
    after = resource_set(CLUSTER, *_split(new, at=shared))

    expected = {name for name in {*old, *new} if old.get(name) != new.get(name)}

    assert expected == after.changed_since(before)


@given(old=contents, new=contents)
def test_versions_are_equal_exactly_when_contents_are(
    old: dict[str, str], new: dict[str, str]
) -> None:
    before, after = snapshot({CLUSTER: old}), snapshot({CLUSTER: new})

    assert (old == new) == (before.version == after.version)
    assert (old == new) == (before == after)


def test_a_snapshot_answers_for_a_type_that_it_does_not_hold() -> None:
    missing = Snapshot({}).of(LISTENER)

    assert len(missing) == 0
    assert ResourceSet(LISTENER).version == missing.version


def _split(held: dict[str, str], *, at: str) -> tuple[dict[str, str], dict[str, str]]:
    """The same contents in two layers, cut at a name."""
    return (
        {n: c for n, c in held.items() if n < at},
        {n: c for n, c in held.items() if n >= at},
    )
