"""The keys that pods' tokens are signed with, as the API server publishes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from towpath.access.tokens import Key, Keys
from towpath.model.credentials import TokenIssuer

log = logging.getLogger(__name__)

ASK_AGAIN_S = 10.0
"""At least so long after it was asked last is the API server asked for a key that is not known."""

ANSWER_S = 5.0
"""How long a caller waits for that."""

SHORTEST_RSA = 2048
MOST_KEYS = 100

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, object]] = []


_KEY_SET = msgspec.json.Decoder(_KeySet)


def read_keys(published: TokenIssuer) -> Keys:
    """The keys that can be used; ValueError if there are none. The others are passed over."""
    try:
        jwks = _KEY_SET.decode(published.keys).keys
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"what the API server publishes is not a JWK set: {error}") from error
    by_id: dict[str, Key] = {}
    for jwk in jwks[:MOST_KEYS]:
        kid, use = jwk.get("kid"), jwk.get("use", "sig")
        key = _key(jwk)
        if isinstance(kid, str) and use == "sig" and key is not None:
            by_id.setdefault(kid, key)
    if not by_id:
        raise ValueError("the API server publishes no key that tokens can be judged by")
    return Keys(published.name, by_id)


def _key(jwk: dict[str, object]) -> Key | None:
    """The public key of a JWK, None if it is of no kind that Kubernetes signs with."""
    if jwk.get("kty") not in ("RSA", "EC"):
        return None
    bare = {name: value for name, value in jwk.items() if name != "alg"}
    try:
        public = jwt.PyJWK(bare).key
    except (jwt.PyJWTError, RecursionError):
        return None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= SHORTEST_RSA:
        return Key(public, "RS256")
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return Key(public, _CURVES[public.curve.name])
    return None


class KeyRing:
    """The keys as they were published last.

    *ask* has them published anew, and may fail to; it is called for callers at most once in
    ASK_AGAIN_S, whatever these show. *clock* is monotonic, in seconds.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], *, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self.keys: Keys | None = None

    def publish(self, published: TokenIssuer) -> None:
        """Take these in the place of those before; keys of which none can be used are not taken."""
        try:
            self.keys = read_keys(published)
        except ValueError as error:
            log.error("%s: tokens are judged by those before, if there are any", error)
        else:
            ids = ", ".join(sorted(self.keys.by_id))
            log.info("tokens of %s are taken, signed with the keys %s", published.name, ids)

    async def others(self) -> Keys | None:
        """Keys that are newer than those at hand; None if there are none, or not yet."""
        before = self.keys
        if self._asking is None and self._clock() - self._asked_at >= ASK_AGAIN_S:
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._ask_once())
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=ANSWER_S)
        return self.keys if self.keys is not before else None

    async def _ask_once(self) -> None:
        try:
            await self._ask()
        finally:
            self._asking = None
