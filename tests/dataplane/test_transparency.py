"""HTTP in the mesh, through two sidecars, as if they were not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dataplane.hosts import MIRROR_PORT
from support.dataplane.mirror import REQUESTS, answer
from support.dataplane.rig import Rig
from support.dataplane.transparency import (
    PROTOCOLS,
    assert_answers_keep_words_and_letter_case,
    assert_others_arrive_as_documented,
    assert_protocol_changes,
    assert_requests_arrive_as_sent,
)

pytestmark = pytest.mark.dataplane

ADDRESS = ("10.96.0.27", 80)


@pytest.fixture(scope="module")
def mirrored(bookstore: Rig) -> Iterator[Rig]:
    """A service whose pod mirrors requests."""
    bookstore.manifests.add_service(
        "bookstore",
        name="mirror",
        address=ADDRESS[0],
        port=ADDRESS[1],
        target_port=MIRROR_PORT,
        protocol="http",
    )
    bookstore.sidecar.until(lambda: reached(bookstore), bool, what="the mirror is served")
    yield bookstore
    bookstore.manifests.remove_service("mirror")


def test_requests_arrive_as_they_are_sent(mirrored: Rig) -> None:
    assert_requests_arrive_as_sent(mirrored.client, ADDRESS)


def test_what_cannot_arrive_as_it_is_sent_arrives_as_the_docs_say(mirrored: Rig) -> None:
    assert_others_arrive_as_documented(mirrored.client, ADDRESS)


def test_answers_keep_their_words_and_letter_case(mirrored: Rig) -> None:
    assert_answers_keep_words_and_letter_case(mirrored.client, ADDRESS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_connections_change_their_protocol(mirrored: Rig, protocol: bytes) -> None:
    assert_protocol_changes(mirrored.client, ADDRESS, protocol)


def reached(rig: Rig) -> bool:
    head, _ = answer(rig.client, ADDRESS, REQUESTS["x-forwarded-proto"])
    return head.startswith(b"HTTP/1.1 200")
