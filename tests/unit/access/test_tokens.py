"""Which tokens are taken, and why each of the others is not."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.tokens import AUDIENCE, Issuer, binding, with_header
from towpath.access.keys import read_keys
from towpath.access.tokens import LEEWAY, LONGEST, TokenRefused, judge
from towpath.model.credentials import PodToken, TokenFault
from towpath.model.names import Account, SidecarId

ISSUER = Issuer(algorithm="RS256")
KEYS = read_keys(ISSUER.published)
GOOD = ISSUER.token()


def _now() -> datetime:
    return datetime.now(UTC)


def fault(token: str) -> tuple[TokenFault, str]:
    with pytest.raises(TokenRefused) as raised:
        judge(token, KEYS, audience=AUDIENCE, now=_now())
    return raised.value.fault, str(raised.value)


def _hmac_by_the_public_key() -> str:
    """The old confusion of algorithms: the public key's bytes taken for a shared secret."""
    _, private = ISSUER.keys[ISSUER.kid]
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = with_header(GOOD, {"alg": "HS256", "kid": ISSUER.kid}).rpartition(".")[0]
    mac = hmac.digest(public, unsigned.encode(), "sha256")
    return f"{unsigned}.{jwt.utils.base64url_encode(mac).decode()}"


def _without_signature() -> str:
    header = {"alg": "none", "kid": ISSUER.kid}
    return with_header(GOOD, header).rpartition(".")[0] + "."


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512"])
def test_a_pods_token_proves_its_pod(algorithm: str) -> None:
    issuer = Issuer(algorithm=algorithm)
    exp = int(_now().timestamp()) + 600
    token = issuer.token("web-1", namespace="shop", account="web", uid="u-9", claims={"exp": exp})
    proves = judge(token, read_keys(issuer.published), audience=AUDIENCE, now=_now())

    assert (
        PodToken(
            Account("shop", "web"),
            SidecarId("web-1", "shop"),
            "u-9",
            datetime.fromtimestamp(exp, UTC) + LEEWAY,
        )
        == proves
    )


def test_one_audience_of_several_is_enough_and_it_may_be_a_text() -> None:
    for audience in ("towpath", ["other", "towpath"]):
        judge(ISSUER.token(claims={"aud": audience}), KEYS, audience=AUDIENCE, now=_now())


WRONG: dict[str, tuple[str, TokenFault]] = {
    "empty": ("", TokenFault.MALFORMED),
    "no JWT": ("hello", TokenFault.MALFORMED),
    "truncated": (GOOD[:-20], TokenFault.SIGNATURE),
    "cut before its signature": (GOOD.rpartition(".")[0], TokenFault.MALFORMED),
    "100 KB": (GOOD + "A" * 100_000, TokenFault.TOO_LONG),
    "alg none": (with_header(GOOD, {"alg": "none", "kid": "first"}), TokenFault.ALGORITHM),
    "alg none, no signature": (_without_signature(), TokenFault.MALFORMED),
    "HS256 by the public key": (_hmac_by_the_public_key(), TokenFault.ALGORITHM),
    "an algorithm of another kind of key": (
        with_header(GOOD, {"alg": "ES256", "kid": "first"}),
        TokenFault.ALGORITHM,
    ),
    "PS256 of an RSA key": (
        with_header(GOOD, {"alg": "PS256", "kid": "first"}),
        TokenFault.ALGORITHM,
    ),
    "another kid": (Issuer(kid="second").token(), TokenFault.UNKNOWN_KEY),
    "no kid": (with_header(GOOD, {"alg": "RS256"}), TokenFault.UNKNOWN_KEY),
    "another's key under our kid": (Issuer(algorithm="RS256").token(), TokenFault.SIGNATURE),
    "extensions": (ISSUER.token(header={"crit": ["exp"], "exp": 1}), TokenFault.MALFORMED),
    "another header": (
        with_header(GOOD, {"alg": "RS256", "kid": "first", "typ": "x"}),
        TokenFault.SIGNATURE,
    ),
    "a header that is a list": (with_header(GOOD, []), TokenFault.MALFORMED),
    "a kid that is a number": (
        with_header(GOOD, {"alg": "RS256", "kid": 1}),
        TokenFault.MALFORMED,
    ),
    "iss": (ISSUER.token(claims={"iss": "https://other"}), TokenFault.ISSUER),
    "no iss": (ISSUER.token(claims={"iss": None}), TokenFault.MALFORMED),
    "aud": (ISSUER.token(claims={"aud": ["https://kubernetes.default.svc"]}), TokenFault.AUDIENCE),
    "a longer aud": (ISSUER.token(claims={"aud": "towpath.other"}), TokenFault.AUDIENCE),
    "no aud": (ISSUER.token(claims={"aud": None}), TokenFault.MALFORMED),
    "no audience at all": (ISSUER.token(claims={"aud": []}), TokenFault.AUDIENCE),
    "expired": (ISSUER.token(expires_in=timedelta(seconds=-61)), TokenFault.EXPIRED),
    "no exp": (ISSUER.token(claims={"exp": None}), TokenFault.MALFORMED),
    "exp in no calendar": (ISSUER.token(claims={"exp": 10**15}), TokenFault.MALFORMED),
    "exp is a text": (ISSUER.token(claims={"exp": "never"}), TokenFault.MALFORMED),
    "not yet": (ISSUER.token(claims={"nbf": 2**33}), TokenFault.NOT_YET_VALID),
    "unbound": (ISSUER.token(claims={"kubernetes.io": None}), TokenFault.UNBOUND),
    "a legacy token": (
        ISSUER.token(
            claims={
                "kubernetes.io": None,
                "kubernetes.io/serviceaccount/namespace": "curl",
                "kubernetes.io/serviceaccount/service-account.name": "curl",
            }
        ),
        TokenFault.UNBOUND,
    ),
    "bound to a Secret": (
        ISSUER.token(
            claims={
                "kubernetes.io": {
                    "namespace": "curl",
                    "secret": {"name": "s", "uid": "u"},
                    "serviceaccount": {"name": "curl", "uid": "u"},
                }
            }
        ),
        TokenFault.UNBOUND,
    ),
    "a binding that is a text": (
        ISSUER.token(claims={"kubernetes.io": "curl"}),
        TokenFault.MALFORMED,
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_wrong_token_is_refused_for_what_is_wrong_with_it(case: str) -> None:
    token, expected = WRONG[case]

    assert expected is fault(token)[0]


@pytest.mark.parametrize("path", ["namespace", "pod", "serviceaccount", "pod.name", "pod.uid"])
@pytest.mark.parametrize("empty", [None, "absent"])
def test_a_binding_that_lacks_a_part_binds_nothing(path: str, empty: str | None) -> None:
    of: dict[str, Any] = binding()
    part, _, name = path.partition(".")
    where = of[part] if name else of
    if empty is None:
        where[name or part] = "" if name or part == "namespace" else {}
    else:
        del where[name or part]

    assert TokenFault.UNBOUND is fault(ISSUER.token(claims={"kubernetes.io": of}))[0]


def test_clocks_may_be_a_minute_off() -> None:
    judge(ISSUER.token(expires_in=timedelta(seconds=-50)), KEYS, audience=AUDIENCE, now=_now())
    soon = int(_now().timestamp()) + 50
    judge(ISSUER.token(claims={"nbf": soon}), KEYS, audience=AUDIENCE, now=_now())


def test_a_refusal_says_nothing_of_what_the_token_holds() -> None:
    secret = "a-name-that-nobody-knows"
    tokens = [
        ISSUER.token(claims={"aud": [secret]}),
        ISSUER.token(claims={"iss": secret}),
        with_header(GOOD, {"alg": secret, "kid": secret}),
        with_header(GOOD, {"alg": "RS256", "kid": secret}),
        secret,
    ]

    assert [] == [text for _, text in map(fault, tokens) if secret in text]


@pytest.mark.parametrize("depth", [100, 900, 2_000])
def test_what_is_nested_deeply_is_refused_and_ends_nothing(depth: int) -> None:
    nested: object = 1
    for _ in range(depth):
        nested = [nested]
    try:
        header = json.dumps({"alg": "RS256", "kid": "first", "x": nested})
    except RecursionError:
        header = '{"alg":"RS256","kid":"first","x":' + "[" * depth + "]" * depth + "}"
    raw = header.replace(" ", "").encode()
    segment = jwt.utils.base64url_encode(raw).decode()
    payload, signature = GOOD.split(".")[1:]

    assert fault(f"{segment}.{payload}.{signature}")[0] in {
        TokenFault.MALFORMED,
        TokenFault.SIGNATURE,
    }


@settings(max_examples=examples(300))
@given(st.text(max_size=200) | st.text(alphabet="eyJ0._-aA", max_size=LONGEST + 5))
@example(f"{GOOD} ")
@example(f"{GOOD}\n")
@example("e30.e30.e30")
@example("bnVsbA.e30.e30")
def test_whatever_comes_is_refused_by_a_word_of_ours(text: str) -> None:
    assert fault(text)[0] in TokenFault


@settings(max_examples=examples(100))
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AQgw_-"))
def test_no_changed_token_proves_another(at: int, character: str) -> None:
    changed = GOOD[:at] + character + GOOD[at + 1 :]
    try:
        proves = judge(changed, KEYS, audience=AUDIENCE, now=_now())
    except TokenRefused:
        return
    # The bits after the end of a segment mean nothing.
    assert judge(GOOD, KEYS, audience=AUDIENCE, now=_now()) == proves
