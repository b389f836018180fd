"""The manual's page on egress passthrough, P1 to P5."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from demo.hands import Hands
from demo.steps import Step, call, patch

_URL = "https://httpbin.org:443"
_ANSWER = "HTTP/2 200 (what stands in for the host here speaks HTTP/1.1)"
_REFUSED = 7


def passthrough(hands: Hands) -> Iterator[Step]:
    """The page's steps."""

    def switch(title: str, *, on: bool) -> Step:
        change = {"spec": {"traffic": {"enableEgress": on}}}
        return Step(title, patch(change), "accepted", partial(hands.patch, change))

    yield switch("P1 Open the way out", on=True)
    yield from hands.client()
    open_call = partial(hands.call, _URL, status=200)
    yield Step(
        "P3 Call an outside host",
        call(_URL),
        "HTTP/2 200 (what stands in for the host here speaks HTTP/1.1)",
        open_call,
    )
    yield switch("P4 Close the way out", on=False)
    refused = partial(hands.call, _URL, exits=_REFUSED)
    yield Step("P5 Call it again", call(_URL), "exit code 7", refused)
