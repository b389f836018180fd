"""The API server's keys: which of them are used, and how often it is asked for others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.tokens import ISSUER, Issuer
from towpath.access.keys import ASK_AGAIN_S, KeyRing, read_keys
from towpath.model.credentials import TokenIssuer


class Source:
    """What publishes keys, when it is asked; `now` is the clock."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.ring = KeyRing(self.ask, clock=lambda: self.now)
        self.ring.publish(self.issuer.published)
        self.now = 1_000.0
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self) -> None:
        self.asked += 1
        await self.answers.wait()
        self.ring.publish(self.issuer.published)


def _set(*keys: dict[str, Any]) -> TokenIssuer:
    return TokenIssuer(ISSUER, json.dumps({"keys": list(keys)}))


def _jwk(algorithm: str = "ES256", **fields: Any) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(Issuer(algorithm=algorithm).published.keys)["keys"][0]
    return key | fields


def test_an_algorithm_is_the_keys_whatever_the_set_says_of_it() -> None:
    keys = read_keys(
        _set(
            _jwk("RS256", kid="a", alg="HS256"),
            _jwk("ES256", kid="b"),
            _jwk("ES384", kid="c"),
            _jwk("ES512", kid="d"),
        )
    )

    assert {"a": "RS256", "b": "ES256", "c": "ES384", "d": "ES512"} == {
        kid: key.algorithm for kid, key in keys.by_id.items()
    }


def test_what_cannot_be_used_is_passed_over() -> None:
    usable = _jwk(kid="good")
    keys = read_keys(
        _set(
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
            _jwk(kid="encrypts", use="enc"),
            _jwk(kid=7),
            {k: v for k, v in _jwk().items() if k != "kid"},
            _jwk(kid="off the curve", x="AAAA"),
            _jwk(kid="unknown curve", crv="P-192"),
            {"kty": "OKP", "crv": "Ed25519", "kid": "edwards", "x": "AAAA"},
            {
                "kty": "RSA",
                "kid": "short",
                "e": "AQAB",
                "n": "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeL",
            },
            usable,
            _jwk(kid="good"),
        )
    )

    assert ["good"] == list(keys.by_id)
    assert read_keys(_set(usable)).by_id["good"].public == keys.by_id["good"].public


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 1}', '{"keys": []}', "{}", '{"keys": [1]}'])
def test_a_set_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the API server"):
        read_keys(TokenIssuer(ISSUER, text))


async def test_an_unknown_key_asks_the_api_server_once_in_ten_seconds() -> None:
    source = Source()
    source.issuer.rotate("second")
    many = await asyncio.gather(*(source.ring.others() for _ in range(50)))
    assert [["first", "second"]] * 50 == [sorted(keys.by_id) for keys in many if keys]
    source.now += ASK_AGAIN_S - 0.1
    assert await source.ring.others() is None
    assert 1 == source.asked
    source.now += 0.1
    await source.ring.others()
    assert 2 == source.asked


async def test_keys_of_which_none_can_be_used_leave_those_before() -> None:
    source = Source()
    before = source.ring.keys
    source.ring.publish(_set())

    assert before is not None
    assert before is source.ring.keys


async def test_who_waits_for_an_answer_asks_no_more_than_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("towpath.access.keys.ANSWER_S", 0.01)
    source = Source()
    source.answers.clear()
    assert [None] * 3 == [await source.ring.others() for _ in range(3)]
    source.now += 2 * ASK_AGAIN_S
    assert await source.ring.others() is None
    assert 1 == source.asked
    source.answers.set()
    source.issuer.rotate("second")
    monkeypatch.setattr("towpath.access.keys.ANSWER_S", 30.0)
    keys = await source.ring.others()
    assert keys is not None
    assert (1, ["first", "second"]) == (source.asked, sorted(keys.by_id))
