"""Entries: what a request or a name counts for, so that what is long is not taken for little."""

from __future__ import annotations

import pytest

from towpath.model.egress import RequestMatch
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.planning.entries import BUCKET, CHARACTERS, of_limits, of_request, of_texts

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


def test_a_rate_limit_counts_where_it_is_counted_and_for_its_texts() -> None:
    limit = RequestLimit(Rate(1, 1))
    answering = RequestLimit(Rate(1, 1), 429, (("x-limit", "v" * 320),))
    paths = RateLimits(routes=(("/a", limit), (LONG, limit), ("/b", answering)))

    assert 0 == of_limits(RateLimits(), requests=True)
    assert BUCKET == of_limits(RateLimits(connections=Rate(1, 1)), requests=False)
    assert 2 * BUCKET == of_limits(RateLimits(Rate(1, 1), limit), requests=True)
    assert 0 == of_limits(paths, requests=False)
    assert 3 * BUCKET + 1_000 // 32 + 1 + 320 // 32 == of_limits(paths, requests=True)


def test_names_count_for_their_number_and_their_length() -> None:
    assert 0 == of_texts(())
    assert 3 == of_texts(("a", "b", "c"))
    assert 2 + 2 * 640 // CHARACTERS == of_texts(("a" * 640, "b" * 640))
