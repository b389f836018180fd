"""The syntax of `--set`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.install.keys import KEYS
from towpath.install.pairs import Pair, PairError, pairs_of, put
from towpath.install.values import ValueRefused, Values, parse

PIECES = st.sampled_from(
    [*KEYS, *".,=[]{}\\$", "0", "1", "99999", "null", "true", "key", "cpu", " "]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=c", [Pair(("a", "b"), "c")]),
        (" a = b , c = d=e ", [Pair(("a",), "b"), Pair(("c",), "d=e")]),
        (r"a.kubernetes\.io/os=b\,c", [Pair(("a", "kubernetes.io/os"), "b,c")]),
        ("a[0].b=c,a[1]=d", [Pair(("a", 0, "b"), "c"), Pair(("a", 1), "d")]),
        ("a={b, c},d={}", [Pair(("a",), ["b", "c"]), Pair(("d",), [])]),
        ("a={b", [Pair(("a",), "{b")]),
        ("a=", [Pair(("a",), "")]),
    ],
)
def test_the_pairs_of_a_text(text: str, expected: list[Pair]) -> None:
    assert expected == list(pairs_of(text))


@pytest.mark.parametrize("text", ["", "a", "=b", "a[x]=b", "a]=b", "a\\=b", ",", "a=b,", ".=b"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PairError, match="is not KEY=VALUE"):
        list(pairs_of(text))


def test_a_path_has_an_end() -> None:
    with pytest.raises(PairError, match="has 33 steps: allowed are 32"):
        list(pairs_of(f"{'.'.join('a' * 33)}=b"))


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ({"a": 1}, ("b",), "c", {"a": 1, "b": "c"}),
        ({"a": {"b": "c", "d": "e"}}, ("a", "b"), "null", {"a": {"d": "e"}}),
        ({}, ("a",), "null", {}),
        (None, (0, "a"), "b", [{"a": "b"}]),
        ([{"a": "b"}], (0, "c"), "d", [{"a": "b", "c": "d"}]),
        (["a"], (), "null", "null"),
    ],
)
def test_what_is_there_stays_beside_it(
    before: Any, path: tuple[str | int, ...], value: str, after: Any
) -> None:
    assert after == put(before, path, value)


@settings(max_examples=examples(300))
@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_any_text_gives_values_or_is_refused(text: str) -> None:
    with suppress(ValueRefused):
        parse([text], Values())
