"""HTTP in the mesh, through two sidecars, as if they were not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dataplane.hosts import MIRROR_PORT
from support.dataplane.mirror import CHANGED, REQUESTS, answer, upgraded
from support.dataplane.rig import Rig

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
    arrived = {name: answer(mirrored.client, ADDRESS, sent)[1] for name, sent in REQUESTS.items()}

    differing = [name for name, sent in REQUESTS.items() if arrived[name] != sent]
    assert differing == [], {name: (REQUESTS[name], arrived[name]) for name in differing}


def test_what_cannot_arrive_as_it_is_sent_arrives_as_the_docs_say(mirrored: Rig) -> None:
    arrived = {n: answer(mirrored.client, ADDRESS, case[0])[1] for n, case in CHANGED.items()}

    assert arrived == {name: case[1] for name, case in CHANGED.items()}


def test_answers_keep_their_words_and_letter_case(mirrored: Rig) -> None:
    head, _ = answer(mirrored.client, ADDRESS, REQUESTS["letter case of names"])

    assert head.startswith(b"HTTP/1.1 200 Fine\r\n")
    assert b"\r\nX-CamelCase: Kept" in head


@pytest.mark.parametrize("protocol", [b"websocket", b"SPDY/3.1", b"tcp"])
def test_connections_change_their_protocol(mirrored: Rig, protocol: bytes) -> None:
    line, heard = upgraded(mirrored.client, ADDRESS, protocol)

    assert (line.split()[1], heard) == (b"101", b"hello\n")


def reached(rig: Rig) -> bool:
    head, _ = answer(rig.client, ADDRESS, REQUESTS["x-forwarded-proto"])
    return head.startswith(b"HTTP/1.1 200")
