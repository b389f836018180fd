"""Whom a client's certificate is for: what gRPC's own summary would make of it is not enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.certificates import Certificates, spiffe_id
from towpath.access.certificate import NOBODY, identity

WEB = spiffe_id("shop", "web")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def test_a_name_goes_on_behind_a_zero_byte(certificates: Certificates) -> None:
    files = certificates.issue("evil", uris=(f"{WEB}\0/evil",))

    assert f"{WEB}\0/evil" == identity(files.certificate.read_bytes()).spiffe_id


def test_an_authority_is_no_sidecar(certificates: Certificates) -> None:
    files = certificates.issue_odd("authority", uris=(WEB,), signs=True)

    assert "" == identity(files.certificate.read_bytes()).spiffe_id


def test_a_sidecars_certificate_says_who_and_until_when(certificates: Certificates) -> None:
    shown = identity(certificates.issue("web", uris=(WEB,)).certificate.read_bytes())

    assert WEB == shown.spiffe_id
    assert shown.expires_at is not None


def test_what_is_no_certificate_is_for_nobody() -> None:
    assert NOBODY == identity(b"") == identity(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
