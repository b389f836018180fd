"""Whose fault a rejection is: said by the client, or searched for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.rollout.bisection import Bisection, named_in


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Error adding cluster(s) shop/web|80: bad", ("shop/web|80",)),
        ("shop/web|80: bad; shop/api|80: bad", ("shop/web|80", "shop/api|80")),
        ("shop/web|80|local: bad", ("shop/web|80|local",)),
        ("something is wrong", ()),
        ("", ()),
    ],
)
def test_which_resources_a_text_speaks_of(message: str, expected: tuple[str, ...]) -> None:
    sent = ("shop/web|80", "shop/web|80|local", "shop/api|80")

    assert expected == named_in(message, sent)


NAMES = [f"name-{number:03}" for number in range(100)]


@given(st.sets(st.sampled_from(NAMES), min_size=1, max_size=2))
def test_the_bad_among_a_hundred_are_found_and_nobody_else_is_blamed(bad: set[str]) -> None:
    search = Bisection()
    found: set[str] = set()
    accepted: set[str] = set()
    sendings = 0
    while len(accepted) + len(found) < len(NAMES):
        sent = set(NAMES) - accepted - found - search.pending()
        sendings += 1
        if sent & bad:
            found |= set(search.rejected(sent, "no"))
        else:
            accepted |= sent
            search.accepted(sent)

    assert bad == found
    assert sendings <= 30
    assert not search


def test_a_client_that_rejects_everything_is_soon_left_alone() -> None:
    search = Bisection(limit=4)
    left, sendings = set(NAMES), 0
    while left:
        sendings += 1
        left -= set(search.rejected(left - search.pending(), "no"))

    assert sendings < 40
    assert not search


def test_what_is_named_ends_the_search_for_it() -> None:
    search = Bisection()
    assert () == search.rejected(["a", "b", "c", "d"], "no")
    assert frozenset({"c", "d"}) == search.pending()
    assert ("a",) == search.rejected(["a", "b"], "a: no")
    search.accepted(["b"])
    assert frozenset() == search.pending()
    search.accepted(["c", "d"])
    assert not search


def test_each_search_has_all_of_its_trials() -> None:
    search = Bisection(limit=2)
    for _ in range(5):
        assert () == search.rejected(["bad", "a"], "no")
        search.accepted(["a"])
        assert ("bad",) == search.rejected(["bad"], "no")


def test_searches_that_learn_nothing_come_to_an_end() -> None:
    search = Bisection(limit=2)
    for _ in range(2):
        assert () == search.rejected(["a", "b"], "no")
        while search.next_half():
            pass

    assert ("a", "b") == search.rejected(["a", "b"], "no")
