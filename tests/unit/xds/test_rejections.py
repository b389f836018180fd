"""Rejections: what is remembered of a client's NACKs, and for how long."""

from __future__ import annotations

import pytest

from support.resources import resource
from towpath.model.types import CLUSTER, LISTENER
from towpath.xds.rejections import Rejections, named_in

A = resource(CLUSTER, "a", "1")


def test_a_rejection_is_of_one_type_name_and_content() -> None:
    rejections = Rejections()
    rejections.add([(CLUSTER, "a", A.version)])

    assert rejections.resource(A)
    assert not rejections.resource(resource(CLUSTER, "a", "2"))
    assert not rejections.resource(resource(LISTENER, "a", "1"))
    assert not rejections.response(CLUSTER, A.version)


def test_a_rejected_response_is_remembered_by_its_version() -> None:
    rejections = Rejections()
    rejections.add([(CLUSTER, "", "v1")])

    assert rejections.response(CLUSTER, "v1")
    assert not rejections.response(CLUSTER, "v2")
    assert not rejections.response(LISTENER, "v1")
    assert [t for t in (CLUSTER, LISTENER) if rejections.any_of(t)] == [CLUSTER]


def test_only_the_newest_are_remembered_and_repeating_one_makes_it_new() -> None:
    rejections = Rejections(limit=2)
    for version in ("1", "2", "1", "3"):
        rejections.add([(CLUSTER, "", version)])

    assert len(rejections) == 2
    assert [v for v in "123" if rejections.response(CLUSTER, v)] == ["1", "3"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Error adding cluster(s) shop/web|80: bad", ("shop/web|80",)),
        ("shop/web|80: bad; shop/api|80: bad", ("shop/web|80", "shop/api|80")),
        ("shop/web|80|local: bad", ("shop/web|80|local",)),
        ("something is wrong", ("shop/web|80", "shop/web|80|local", "shop/api|80")),
        ("", ("shop/web|80", "shop/web|80|local", "shop/api|80")),
    ],
)
def test_which_resources_a_text_speaks_of(message: str, expected: tuple[str, ...]) -> None:
    sent = ("shop/web|80", "shop/web|80|local", "shop/api|80")

    assert named_in(message, sent) == expected
