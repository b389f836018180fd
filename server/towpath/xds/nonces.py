"""Nonces of one stream: counted for it alone, whatever the session that it shares calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from towpath.xds.messages import DeltaRequest, Event, Reply, Request

MOST_NONCES = 512
"""Of one stream; a session keeps fewer unanswered responses of all types."""

STALE = "stale"
"""What a session is told in place of a nonce that is forgotten, or was never sent."""

_FORGOTTEN = "", STALE


class Nonces:
    """What was sent by which nonce of the session: type and nonce by the stream's own nonce."""

    def __init__(self) -> None:
        self._count = 0
        self._sent: dict[str, tuple[str, str]] = {}

    def name(self, events: Iterable[Event]) -> list[Event]:
        """The events, in which replies have the stream's nonces."""
        return [self._named(event) if isinstance(event, Reply) else event for event in events]

    def of(self, request: Request) -> str:
        """The session's nonce for the request's; "" if it has none."""
        return self._sent.get(request.nonce, _FORGOTTEN)[1] if request.nonce else ""

    def translate(self, request: Request) -> str:
        """The same of a request that is taken: what it answers is forgotten."""
        if not request.nonce:
            return ""
        type_url, nonce = self._sent.get(request.nonce, _FORGOTTEN)
        if type_url and isinstance(request, DeltaRequest):
            del self._sent[request.nonce]
        elif type_url:
            self._forget_before(request.nonce, type_url)
        return nonce

    def adopt(self, latest: Mapping[str, str]) -> None:
        """Go on with another session, in which all but the *latest* of some types is answered."""
        newest = {type_url: nonce for nonce, (type_url, _) in self._sent.items()}
        pairs = [(newest[t], (t, nonce)) for t, nonce in latest.items() if t in newest]
        self._sent = dict(sorted(pairs, key=lambda pair: int(pair[0])))

    def _named(self, reply: Reply) -> Reply:
        self._count += 1
        nonce = str(self._count)
        self._sent[nonce] = reply.type_url, reply.nonce
        if len(self._sent) > MOST_NONCES:
            del self._sent[next(iter(self._sent))]
        return Reply(reply.type_url, reply.version, nonce, reply.names, reply.body, reply.fresh)

    def _forget_before(self, nonce: str, type_url: str) -> None:
        """In the state of the world answers come in order: none will come to an earlier one."""
        earlier = []
        for other, (of, _) in self._sent.items():
            if other == nonce:
                break
            if of == type_url:
                earlier.append(other)
        for other in earlier:
            del self._sent[other]
