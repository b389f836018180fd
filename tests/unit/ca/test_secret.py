"""What the Secret of an authority may hold: both layouts, and each fault by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.authorities import YEAR, clock, issuer, pem, rsa_key
from towpath.ca.authority import SigningKey
from towpath.ca.secret import KEY, NEXT_KEY, ROOTS, TLS_CHAIN, TLS_KEY, read_authority

DAY = timedelta(days=1)
ROOT, OTHER = issuer(), issuer()

Entries = Mapping[str, bytes]


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _encrypted() -> bytes:
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    return ROOT.key.private_bytes(serialization.Encoding.PEM, form, cipher)


def _dsa() -> bytes:
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return dsa.generate_private_key(2048).private_bytes(serialization.Encoding.PEM, form, cipher)


def _two_levels(path_length: int | None) -> Entries:
    """root (of that path length) > one > two, which signs."""
    root = issuer(path_length=path_length)
    return issuer(issuer(root)).tls(root)


def _outlived_by_its_key() -> Entries:
    root = issuer()
    return issuer(issuer(root, end=-DAY)).tls(root)


BROKEN: dict[str, tuple[Callable[[], Entries], str]] = {
    "nothing": (dict, r"ca\.crt is missing or empty \(there is nothing\)"),
    "no key": (lambda: {ROOTS: ROOT.chain}, r"ca\.key is missing or empty \(there is ca\.crt\)"),
    "no certificate": (lambda: {KEY: ROOT.key_pem}, r"ca\.crt is missing"),
    "no chain": (lambda: {TLS_KEY: ROOT.key_pem}, r"tls\.crt is missing"),
    "both layouts": (lambda: {**ROOT.own(), **ROOT.tls(ROOT)}, r"both ca\.key and tls\.key"),
    "garbage": (lambda: {ROOTS: b"garbage", KEY: ROOT.key_pem}, r"ca\.crt holds no certificate"),
    "garbage as a key": (lambda: {ROOTS: ROOT.chain, KEY: b"garbage"}, r"ca\.key holds no private"),
    "cut off": (
        lambda: {ROOTS: ROOT.chain + OTHER.chain[:200], KEY: ROOT.key_pem},
        r"ca\.crt is cut off",
    ),
    "encrypted": (lambda: {ROOTS: ROOT.chain, KEY: _encrypted()}, r"ca\.key is encrypted"),
    "another's key": (lambda: {**ROOT.own(), KEY: OTHER.key_pem}, r"ca\.key is not the key of a"),
    "another's key, tls": (lambda: {**ROOT.tls(), TLS_KEY: OTHER.key_pem}, r"tls\.key is not the"),
    "no kind of ours": (lambda: {ROOTS: ROOT.chain, KEY: _dsa()}, r"ca\.key is of a kind"),
    "P-224": (
        lambda: issuer(key=ec.generate_private_key(ec.SECP224R1())).own(),
        r"ca\.key is on the curve secp224r1: allowed are P-256, P-384 and P-521",
    ),
    "RSA 1024": (lambda: issuer(key=rsa_key(1024)).own(), r"ca\.key is RSA of 1024 bits"),
    "an end entity": (lambda: issuer(ca=False).own(), r"is not an authority's"),
    "no basic constraints": (lambda: issuer(ca=None).own(), r"is not an authority's"),
    "an end entity, tls": (lambda: issuer(ROOT, ca=False).tls(ROOT), r"tls\.crt: .* not an auth"),
    "expired": (lambda: issuer(end=-DAY).own(), r"ca\.crt: .* expired at 2026-11-27T12:00:00"),
    "not yet": (lambda: issuer(begin=DAY).own(), r"is not valid before 2026-11-29T12:00:00"),
    "expired above": (_outlived_by_its_key, r"tls\.crt: certificate 2 .* expired at"),
    "no key usage": (lambda: issuer(further=(_usage(signs=False),)).own(), r"may not sign certif"),
    "servers only": (
        lambda: issuer(further=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),)).own(),
        r"may not sign for servers and clients both",
    ),
    "some names only": (
        lambda: issuer(
            further=(x509.NameConstraints([x509.UniformResourceIdentifier("example.org")], None),)
        ).own(),
        r"name constraints",
    ),
    "path length": (lambda: _two_levels(0), r"allows 0 authorities below it, and there are"),
    "no root": (lambda: issuer(ROOT).tls(), r"does not end in a root, and there is no ca\.crt"),
    "another root": (lambda: issuer(ROOT).tls(OTHER), r"does not lead to a root in ca\.crt"),
    "a chain of strangers": (
        lambda: {**issuer(ROOT).tls(ROOT), TLS_CHAIN: pem(ROOT.certificate, OTHER.certificate)},
        r"certificate 1 is not issued by certificate 2|not the key of the first",
    ),
    "the next key is nobody's": (
        lambda: {**ROOT.own(), NEXT_KEY: OTHER.key_pem},
        r"next\.key is not the key of a certificate in ca\.crt",
    ),
    "a further root that is none": (
        lambda: ROOT.own(issuer(ca=False)),
        r"ca\.crt: certificate 2 .* is not an authority's",
    ),
    "too many": (
        lambda: ROOT.own(*(issuer() for _ in range(40))),
        r"ca\.crt has 41 certificates: at most 32",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_is_refused_by_name(case: str) -> None:
    entries, message = BROKEN[case]

    with pytest.raises(ValueError, match=message) as refusal:
        read_authority(entries(), clock=clock)

    assert re.search(r"PRIVATE KEY", str(refusal.value)) is None


def _keys() -> dict[str, SigningKey]:
    return {
        "P-256": ec.generate_private_key(ec.SECP256R1()),
        "P-384": ec.generate_private_key(ec.SECP384R1()),
        "P-521": ec.generate_private_key(ec.SECP521R1()),
        "RSA": rsa_key(2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


@pytest.mark.parametrize("kind", _keys())
def test_each_usual_kind_of_key_may_sign(kind: str) -> None:
    entity = issuer(key=_keys()[kind])

    authority = read_authority(entity.own(), clock=clock)

    assert entity.certificate == authority.certificate
    assert (entity.chain, b"") == (authority.trusted, authority.intermediates)


def test_the_key_says_which_of_several_roots_signs() -> None:
    here, there = (read_authority(who.own(other), clock=clock) for who, other in _PAIRS)

    assert [ROOT.certificate, OTHER.certificate] == [here.certificate, there.certificate]
    # Whichever signs, the same are trusted, in the same order: nothing is pushed.
    assert here.trusted == there.trusted
    assert here != there


_PAIRS = ((ROOT, OTHER), (OTHER, ROOT))


def test_an_intermediate_is_sent_with_its_chain_but_without_the_root() -> None:
    root = issuer(path_length=2)
    one = issuer(root, path_length=1)
    two = issuer(one, path_length=0)

    authority = read_authority(two.tls(root), clock=clock)

    assert two.certificate == authority.certificate
    assert (pem(two.certificate, one.certificate), root.chain) == (
        authority.intermediates,
        authority.trusted,
    )


def test_the_root_may_stand_in_the_chain_too() -> None:
    one = issuer(ROOT)
    entries = {**one.tls(ROOT), TLS_CHAIN: one.chain + ROOT.chain}

    for given in (entries, {**entries, ROOTS: b""}):
        authority = read_authority(given, clock=clock)
        assert (one.chain, ROOT.chain) == (authority.intermediates, authority.trusted)


def test_a_further_root_that_has_expired_is_left_out() -> None:
    authority = read_authority(ROOT.own(issuer(end=-DAY)), clock=clock)

    assert ROOT.chain == authority.trusted


def test_a_root_that_stands_there_twice_is_trusted_once() -> None:
    assert ROOT.chain == read_authority(ROOT.own(ROOT), clock=clock).trusted


def test_leaves_end_with_the_first_of_the_chain() -> None:
    root = issuer(end=2 * YEAR)

    authority = read_authority(issuer(root, end=DAY).tls(root), clock=clock)

    assert clock() + DAY == authority.expires_at
