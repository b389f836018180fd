"""Redaction: no credential is left, and nothing else is lost."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from support.certificates import Certificates
from towpath.telemetry.recent import LINES, LONGEST, RecentLines
from towpath.telemetry.redaction import redacted

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJl-_9"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Certificates(tmp_path_factory.mktemp("keys")).server().key.read_text()


def lines_of(pem: str) -> list[str]:
    return [line for line in pem.splitlines() if not line.startswith("-")]


def test_a_private_key_is_gone_in_every_form_in_which_it_is_written(pem: str) -> None:
    encoded = base64.b64encode(pem.encode()).decode()
    cut = pem[: len(pem) // 2]

    for text in (pem, json.dumps({"key": pem}), f"a {encoded} b", f"cut: {cut}"):
        left = redacted(text)
        assert "[redacted]" in left
        assert not [line for line in (*lines_of(pem), encoded[60:]) if line in left]


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"the token {TOKEN} is not accepted",
        f"it begins with {TOKEN[:40]}...",
        f"https://x.test/?token={TOKEN}&b=1",
        "https://jo:pa55word@api.test:6443/",
        "https://jo:an@pa55word@api.test:6443/",
        "https://jo:pa55word/more@api.test:6443/",
        "https://jo:a/pa55word@api.test:6443/",
        "https://jo@an:443/pa55word@api.test:6443/",
        '{"url": "postgres://jo:a/b:pa55word@db.test/x"}',
        "POSTGRES_PASSWORD=pa55word",
        "AWS_SECRET_ACCESS_KEY=pa55word",
        '{"secretKey": "pa55word"}',
        "password: 'it''s pa55word'",
        '{"client-secret": "pa55word", "a": 1}',
        'POSTGRES_PASSWORD="pa55word"',
        "{'token': 'a pa55word'}",
        'password: "a \\" pa55word"',
        "password: pa55word",
        json.dumps({"message": json.dumps({"token": "a pa55word"})}),
        json.dumps({"message": 'client_secret="a pa55word"'}),
        json.dumps([json.dumps({"message": json.dumps({"token": "a pa55word"})})]),
        "authorization: basic cGE1NXdvcmQ6cGE1NXdvcmQ=",
    ],
)
def test_tokens_and_passwords_are_gone(text: str) -> None:
    left = redacted(text)

    assert "[redacted]" in left
    assert not [secret for secret in (TOKEN[:40], "pa55word", "cGE1NXdvcmQ6") if secret in left]


@pytest.mark.parametrize(
    "text",
    [
        'towpath_tokens_refused_total{reason="audience"} 0.0',
        '{"token_audience": "towpath", "tls_key": "/tls/server.key"}',
        "the token of curl.curl has another audience: allowed is towpath",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "https://10.96.0.1:443/openid/v1/jwks",
        "https://api.test:6443/ is not reached, and https://keys.test/a@b",
        'Egress curl/httpbin spec.hosts[0]: is "a@b"',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert text == redacted(text)


@pytest.mark.parametrize(
    "unit", ["x", "token", "a:", "-----BEGIN ", "bearer ", '"', "eyJ", "token= ", "http://a:"]
)
def test_it_costs_in_proportion_to_the_text(unit: str) -> None:
    """The limit of CPU time of a unit test is what would end it."""
    redacted(unit * (1_000_000 // len(unit)))


def test_lines_are_kept_without_credentials_and_only_the_last_ones() -> None:
    handler = RecentLines()
    for number in range(LINES + 5):
        handler.handle(logging.makeLogRecord({"msg": f"{number} {TOKEN}"}))
    handler.handle(logging.makeLogRecord({"msg": "x" * 2 * LONGEST}))

    assert LINES == len(handler.lines)
    assert "6 [redacted]" == handler.lines[0]
    assert LONGEST >= len(handler.lines[-1])
