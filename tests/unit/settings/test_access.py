"""The settings that say who may connect, and as whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from towpath.settings import AccessSettings, Settings, SettingsError

TLS: dict[str, Any] = {
    "tls_cert": Path("crt"),
    "tls_key": Path("key"),
    "tls_client_ca": Path("ca"),
}


def test_by_default_there_is_no_tls_and_no_local_socket() -> None:
    settings = Settings().access

    assert (False, None, "cluster.local") == (
        settings.tls,
        settings.local_socket,
        settings.tls_trust_domain,
    )
    assert frozenset() == settings.people


def test_with_tls_any_address_is_allowed() -> None:
    assert AccessSettings(ads_address="0.0.0.0:15128", **TLS).tls


@pytest.mark.parametrize("missing", TLS)
def test_a_part_of_the_tls_files_is_refused(missing: str) -> None:
    given = {name: path for name, path in TLS.items() if name != missing}

    with pytest.raises(SettingsError, match="--tls-cert, --tls-key and --tls-client-ca together"):
        AccessSettings(**given)


def test_tls_and_plaintext_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match="--tls-cert and --plaintext: give one of them"):
        AccessSettings(plaintext=True, **TLS)


def test_a_unix_socket_has_no_tls() -> None:
    with pytest.raises(SettingsError, match="--tls-cert and --ads-address unix:/run/ads: give one"):
        AccessSettings(ads_address="unix:/run/ads", **TLS)


def test_identities_are_separated_by_commas() -> None:
    settings = AccessSettings(inspector_identities=" spiffe://a/person/jo,, spiffe://a/ns/x/sa/y ")

    assert {"spiffe://a/person/jo", "spiffe://a/ns/x/sa/y"} == settings.people


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"inspector_identities": "jo"},
            "--inspector-identities has 'jo', which is not a SPIFFE id",
        ),
        ({"tls_trust_domain": "spiffe://a"}, "--tls-trust-domain is 'spiffe://a': allowed is"),
        ({"tls_trust_domain": ""}, "--tls-trust-domain is ''"),
        ({"local_socket": Path("/" + "s" * 107)}, "--local-socket is longer than 107 bytes"),
        ({"local_address": "0.0.0.0:15130"}, "--local-address is '0.0.0.0:15130': allowed is"),
        ({"local_address": "127.0.0.1"}, "--local-address is '127.0.0.1': allowed is"),
    ],
)
def test_a_wrong_value_names_its_flag(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        AccessSettings(**wrong)

    assert said in str(raised.value)
