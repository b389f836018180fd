"""Login by token: what a caller shows in the metadata of its call is judged, a refusal counted."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

import grpc

from towpath.access.caller import Caller, Context
from towpath.access.keys import KeyRing
from towpath.access.tokens import LONGEST, TokenRefused, judge
from towpath.model.credentials import PodToken, TokenFault
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

AUTHORIZATION = "authorization"
_SCHEME = "bearer "

REFUSED_S, MOST_REFUSED = 1.0, 4096
"""For how long, and of how many connections, it is remembered that their token was refused."""

NEWER_KEYS = (TokenFault.UNKNOWN_KEY, TokenFault.ISSUER)
"""What may be wrong only with the keys at hand."""


class TokenLogin:
    """Judges tokens for *audience* by the keys of *ring*; *now* is when they have to be valid.

    A connection whose token is refused is ended by *hang_up*, and until then no other is looked at:
    so a signature that has to be verified costs whoever shows it a handshake. *clock* is monotonic,
    in seconds.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        audience: str,
        metrics: Metrics,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        hang_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ring = ring
        self._audience = audience
        self._metrics = metrics
        self._now = now
        self._clock = clock
        self._hang_up = hang_up
        self._refused: OrderedDict[str, float] = OrderedDict()

    async def take(self, caller: Caller, context: Context) -> Caller:
        """The caller with what its token proves; it ends the call if that proves nobody."""
        try:
            self._check_first(caller.peer)
            return caller.with_token(await self._judge(_token(context)))
        except TokenRefused as refused:
            fault, text = refused.fault, str(refused)
        if fault not in (TokenFault.NO_KEYS, TokenFault.REPEATED):
            self._refuse(caller.peer)
        self._metrics.tokens_refused.labels(fault).inc()
        log.warning(
            "the token of a caller at %s is refused (%s): %s",
            caller.peer,
            fault,
            text,
            extra={"peer": caller.peer, "reason": fault},
        )
        absent = fault is TokenFault.NO_KEYS
        status = grpc.StatusCode.UNAVAILABLE if absent else grpc.StatusCode.UNAUTHENTICATED
        return await context.abort(status, f"{text} ({fault})")

    async def _judge(self, token: str) -> PodToken:
        keys = self._ring.keys
        if keys is None and (keys := await self._ring.others()) is None:
            text = "the API server has not said yet by which keys tokens are judged"
            raise TokenRefused(TokenFault.NO_KEYS, text)
        try:
            return judge(token, keys, audience=self._audience, now=self._now())
        except TokenRefused as refused:
            if refused.fault not in NEWER_KEYS or (keys := await self._ring.others()) is None:
                raise
        return judge(token, keys, audience=self._audience, now=self._now())

    def _check_first(self, peer: str) -> None:
        """TokenRefused if the connection has shown one that was refused a moment ago."""
        if self._refused.get(peer, 0.0) > self._clock():
            text = "another token was refused on this connection: connect again"
            raise TokenRefused(TokenFault.REPEATED, text)

    def _refuse(self, peer: str) -> None:
        self._hang_up(peer)
        self._refused[peer] = self._clock() + REFUSED_S
        self._refused.move_to_end(peer)
        while len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)


def _token(context: Context) -> str:
    """What the call's metadata hold, with or without the scheme; TokenRefused if they hold none."""
    values = [v for k, v in context.invocation_metadata() or () if k == AUTHORIZATION]
    if len(values) != 1 or not isinstance(values[0], str):
        text = "a call on this port needs its pod's token in the metadata `authorization`, once"
        raise TokenRefused(TokenFault.ABSENT, text)
    value = values[0][: LONGEST + len(_SCHEME) + 1]
    scheme = value[: len(_SCHEME)].lower() == _SCHEME
    return value[len(_SCHEME) :] if scheme else value
