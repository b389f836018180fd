"""Judges the token that Kubernetes gives a pod, by its bytes alone; in doubt it proves nobody.

Which algorithm a signature must have is the key's matter, never the token's
(https://www.rfc-editor.org/rfc/rfc8725#section-3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from towpath.model.credentials import PodToken, TokenFault
from towpath.model.names import Account, SidecarId

T = TypeVar("T")

LONGEST = 8192
"""Bytes of a token; one of Kubernetes has a fifth of it."""

LEEWAY = timedelta(seconds=60)
"""How far a clock may be off."""

ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")
"""Those that Kubernetes signs with."""

_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TokenRefused(Exception):
    """The token is not taken; the message says why, and nothing of what it holds."""

    def __init__(self, fault: TokenFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm that it signs with."""

    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    algorithm: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The name of the issuer of tokens, and its keys by their ids."""

    issuer: str
    by_id: Mapping[str, Key]


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    # Extensions that must be understood (RFC 7515, 4.1.11): there are none.
    crit: object = None
    b64: object = None


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Binding(msgspec.Struct, frozen=True):
    namespace: str = ""
    pod: _Named = _Named()
    serviceaccount: _Named = _Named()


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str | list[str]
    exp: int
    nbf: int = 0
    binding: _Binding = msgspec.field(default=_Binding(), name="kubernetes.io")


_HEADER = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(_Claims)


def judge(token: str, keys: Keys, *, audience: str, now: datetime) -> PodToken:
    """Whom a token proves; TokenRefused if it proves nobody. *audience* is our own name."""
    if len(token) > LONGEST:
        text = f"the token has {len(token):,} characters: at most {LONGEST:,} are read"
        raise TokenRefused(TokenFault.TOO_LONG, text)
    if _FORM.fullmatch(token) is None:
        raise TokenRefused(TokenFault.MALFORMED, "the token is not a signed JWT (RFC 7515)")
    payload = _signed_payload(token, keys)
    claims = _decoded(payload, _CLAIMS, "claims")
    if claims.iss != keys.issuer:
        text = f"the token is not of this cluster's issuer, {keys.issuer}"
        raise TokenRefused(TokenFault.ISSUER, text)
    if audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        text = f"the token is not for the audience {audience}"
        raise TokenRefused(TokenFault.AUDIENCE, text)
    expires_at = _time(claims.exp) + LEEWAY
    if expires_at <= now:
        text = "the token has expired: read it again from its file"
        raise TokenRefused(TokenFault.EXPIRED, text)
    if _time(claims.nbf) - LEEWAY > now:
        raise TokenRefused(TokenFault.NOT_YET_VALID, "the token is not valid yet")
    of = claims.binding
    if not (of.namespace and of.pod.name and of.pod.uid and of.serviceaccount.name):
        text = "the token is not bound to a pod: use a projected serviceAccountToken"
        raise TokenRefused(TokenFault.UNBOUND, text)
    return PodToken(
        account=Account(of.namespace, of.serviceaccount.name),
        sidecar=SidecarId(of.pod.name, of.namespace),
        uid=of.pod.uid,
        expires_at=expires_at,
    )


def _signed_payload(token: str, keys: Keys) -> bytes:
    """What was signed by one of the keys; TokenRefused if nothing was."""
    segment = token.partition(".")[0]
    try:
        raw = jwt.utils.base64url_decode(segment)
    except ValueError as error:
        raise TokenRefused(TokenFault.MALFORMED, "the token's header cannot be read") from error
    header = _decoded(raw, _HEADER, "header")
    if header.crit is not None or header.b64 is not None:
        text = "the token's header has extensions, of which none is understood"
        raise TokenRefused(TokenFault.MALFORMED, text)
    if header.alg not in ALGORITHMS:
        text = f"the token's algorithm is not one of {', '.join(ALGORITHMS)}"
        raise TokenRefused(TokenFault.ALGORITHM, text)
    key = keys.by_id.get(header.kid)
    if key is None:
        text = "the token is signed with a key that the API server does not publish"
        raise TokenRefused(TokenFault.UNKNOWN_KEY, text)
    if header.alg != key.algorithm:
        text = f"the token's algorithm is not that of its key, {key.algorithm}"
        raise TokenRefused(TokenFault.ALGORITHM, text)
    try:
        verified = _JWS.decode_complete(token, key.public, algorithms=[key.algorithm])
    except (jwt.InvalidTokenError, RecursionError) as error:
        text = "the token's signature is not that of its key"
        raise TokenRefused(TokenFault.SIGNATURE, text) from error
    return bytes(verified["payload"])


def _decoded(raw: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        text = f"the token's {what} are not those of a pod's token"
        raise TokenRefused(TokenFault.MALFORMED, text) from error


def _time(seconds: int) -> datetime:
    """TokenRefused for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise TokenRefused(TokenFault.MALFORMED, "the token's times are out of range") from error
