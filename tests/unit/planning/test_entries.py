"""Entries: what a request or a name counts for, so that what is long is not taken for little."""

from __future__ import annotations

import pytest

from towpath.model.egress import RequestMatch
from towpath.planning.entries import CHARACTERS, of_request, of_texts

LONG = "/" + "a" * 999


@pytest.mark.parametrize("path", [".*", "/", "/api/v1/orders/[0-9]+"])
def test_an_ordinary_request_is_one_entry(path: str) -> None:
    assert 1 == of_request(RequestMatch(path, ("GET", "POST")))


def test_a_header_is_one_more() -> None:
    assert 2 == of_request(RequestMatch("/", (), (("x-tester", "yes"),)))


@pytest.mark.parametrize(
    "match",
    [
        RequestMatch(LONG),
        RequestMatch("/", (), (("x-user", LONG),)),
        RequestMatch("/", (), (("x" * 256, "y" * 800),)),
        RequestMatch("é" * 500),
    ],
)
def test_a_long_expression_counts_for_its_length(match: RequestMatch) -> None:
    assert 1_000 // CHARACTERS < of_request(match)


def test_names_count_for_their_number_and_their_length() -> None:
    assert 0 == of_texts(())
    assert 3 == of_texts(("a", "b", "c"))
    assert 2 + 2 * 640 // CHARACTERS == of_texts(("a" * 640, "b" * 640))
