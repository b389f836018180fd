"""The manual's demo of egress policies, E0 to E18."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from demo.hands import Hands
from demo.questions import after, before
from demo.steps import Step, call, patch
from support.dataplane.mesh import Document
from support.dataplane.policy import REFUSED, egress, route_group

_HTTP = "http://httpbin.org:80/get"
_HTTPS = "https://httpbin.org:443/get"
_OTHER = "https://openservicemesh.io:443"
_STATUS = "http://httpbin.org:80/status/200"
_ROUTES = "egress-http-route"
_ON = {"spec": {"featureFlags": {"enableEgressPolicy": True}}}


def policy(hands: Hands) -> Iterator[Step]:
    """The demo's steps, on a mesh that has nothing but the client."""
    yield Step("E0 Switch policies on", patch(_ON), "accepted", partial(hands.patch, _ON))
    yield from hands.client()
    http = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"])
    asked = "httpbin.org:80"
    yield from _around(hands, (1, 2, 3, 4), "HTTP", _HTTP, http, asked=asked)
    https = egress("httpbin-443", (443, "https"), hosts=["httpbin.org"])
    yield from _around(hands, (5, 6, 7, 8), "HTTPS", _HTTPS, https)
    tcp = egress("tcp-443", (443, "tcp"))
    yield from _around(hands, (9, 10, 11, 12), "TCP", _OTHER, tcp)
    routed = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"], groups=[_ROUTES])
    yield _call(hands, "E13 Call two paths", _HTTP, exits=REFUSED)
    yield _call(hands, "E13 Call two paths", _STATUS, exits=REFUSED)
    yield _apply(hands, "E14 Allow one path", routed, route_group(_ROUTES, "/get"))
    yield _call(hands, "E15 Call it", _HTTP, status=200)
    yield _call(hands, "E16 Call the other path", _STATUS, status=404)
    both = route_group(_ROUTES, "/get", "/status.*")
    yield _apply(hands, "E17 Allow the other path", both)
    yield _call(hands, "E18 Call it", _STATUS, status=200)
    yield _delete(hands, "Clean up", routed)
    yield _delete(hands, "Clean up", both)
    yield _call(hands, "Call once more", _HTTP, exits=REFUSED)


def _around(
    hands: Hands,
    numbers: tuple[int, int, int, int],
    what: str,
    url: str,
    document: Document,
    *,
    asked: str = "",
) -> Iterator[Step]:
    """Refused, allowed by a policy, and refused again without it; Towpath is asked about all that
    if *asked* is the cluster by which the request leaves.
    """
    first, second, third, fourth = (f"E{number} {what}" for number in numbers)
    yield _call(hands, f"{first}: call without a policy", url, exits=REFUSED)
    if asked:
        yield from before(hands, first, url, document)
    yield _apply(hands, f"{second}: apply a policy", document)
    yield _call(hands, f"{third}: call", url, status=200)
    if asked:
        yield from after(hands, third, url, asked)
    yield _delete(hands, f"{fourth}: delete it", document)
    yield _call(hands, f"{fourth}: call again", url, exits=REFUSED)


def _apply(hands: Hands, title: str, *documents: Document) -> Step:
    act = partial(hands.apply, *documents)
    return Step(title, "kubectl apply -f - <<EOF ... EOF", "created or configured", act)


def _delete(hands: Hands, title: str, document: Document) -> Step:
    name = f"{document['kind'].lower()} {document['metadata']['name']}"
    typed = f"kubectl delete {name} -n curl"
    return Step(title, typed, "deleted", partial(hands.delete, document))


def _call(hands: Hands, title: str, url: str, *, exits: int = 0, status: int = 0) -> Step:
    expected = f"HTTP status {status}" if status else f"exit code {exits}"
    return Step(title, call(url), expected, partial(hands.call, url, exits=exits, status=status))
