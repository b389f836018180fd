"""JSON patches: applied, they give what was wanted; and they say little."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.json_patch import applied
from towpath.inject.patch import json_patch

_LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "~/b"])
_KEYS = st.sampled_from(["name", "a", "b/c", "d~e"])
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_MAPPINGS = st.dictionaries(_KEYS, _VALUES, max_size=4)


@given(before=_MAPPINGS, after=_MAPPINGS)
@settings(max_examples=examples(300))
def test_a_patch_makes_one_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    original = copy.deepcopy(before)
    assert after == applied(json_patch(before, after), before)
    assert original == before
    assert [] == json_patch(after, after)


def test_items_are_known_by_their_names() -> None:
    before = {"containers": [{"name": "app", "image": "a", "env": []}]}
    after = {"containers": [{"name": "new"}, {"name": "app", "image": "b", "env": []}]}

    assert [
        {"op": "add", "path": "/containers/0", "value": {"name": "new"}},
        {"op": "replace", "path": "/containers/1/image", "value": "b"},
    ] == json_patch(before, after)


def test_names_of_fields_are_escaped() -> None:
    added = json_patch({"labels": {}}, {"labels": {"a.io/b~c": "1"}})

    assert [{"op": "add", "path": "/labels/a.io~1b~0c", "value": "1"}] == added
