"""HTTP as if no sidecar were there: what every way to a mirroring server is asserted to do."""

from __future__ import annotations

from support.dataplane.clients import Address
from support.dataplane.mirror import CHANGED, REQUESTS, answer, upgraded
from support.dataplane.netns import Namespace

PROTOCOLS = (b"websocket", b"SPDY/3.1", b"tcp")


def assert_requests_arrive_as_sent(pod: Namespace, address: Address) -> None:
    arrived = {name: answer(pod, address, sent)[1] for name, sent in REQUESTS.items()}

    differing = [name for name, sent in REQUESTS.items() if sent != arrived[name]]
    assert [] == differing, {name: (REQUESTS[name], arrived[name]) for name in differing}


def assert_others_arrive_as_documented(
    pod: Namespace, address: Address, *, without: str = ""
) -> None:
    """All requests that Envoy changes, but the one that is named *without*."""
    cases = {name: case for name, case in CHANGED.items() if name != without}
    arrived = {name: answer(pod, address, sent)[1] for name, (sent, _) in cases.items()}

    assert {name: documented for name, (_, documented) in cases.items()} == arrived


def assert_answers_keep_words_and_letter_case(pod: Namespace, address: Address) -> None:
    head, _ = answer(pod, address, REQUESTS["letter case of names"])

    assert head.startswith(b"HTTP/1.1 200 Fine\r\n")
    assert b"\r\nX-CamelCase: Kept" in head


def assert_protocol_changes(pod: Namespace, address: Address, protocol: bytes) -> None:
    line, echo = upgraded(pod, address, protocol)

    assert (b"101", b"hello\n") == (line.split()[1], echo)
