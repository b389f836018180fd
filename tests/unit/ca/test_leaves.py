"""Leaves: what is in one, and that it depends on authority, account and window alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.authorities import NOW, Issuer, clock, issuer, rsa_key
from towpath.ca.leaves import LeafSigner, new_secret
from towpath.ca.secret import read_authority
from towpath.model.identity import Leaf, Window
from towpath.model.names import Account

WEB, API = Account("shop", "web"), Account("shop", "api")
WINDOW = Window(NOW - timedelta(hours=1), timedelta(hours=12))
LATER = Window(NOW + timedelta(hours=11), timedelta(hours=12))
ROOT = issuer()


def _signer(entity: Issuer = ROOT, *, domain: str = "cluster.local") -> LeafSigner:
    return LeafSigner.derived(read_authority(entity.own(), clock=clock), domain)


def _certificate(leaf: Leaf) -> x509.Certificate:
    return x509.load_pem_x509_certificates(leaf.certificate_chain)[0]


def test_a_leaf_has_exactly_one_uri_and_no_other_name() -> None:
    certificate = _certificate(_signer().leaf(WEB, WINDOW))

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert [x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/web")] == list(
        names.value
    )
    assert [] == list(certificate.subject)


def test_a_leaf_is_for_servers_and_clients_and_signs_nothing() -> None:
    extensions = _certificate(_signer().leaf(WEB, WINDOW)).extensions

    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH] == list(purposes)
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_a_leaf_begins_five_minutes_early_and_is_renewed_at_half_life() -> None:
    leaf = _signer().leaf(WEB, WINDOW)
    certificate = _certificate(leaf)

    assert (WINDOW.begin - timedelta(minutes=5), WINDOW.begin + timedelta(hours=24)) == (
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
    assert (leaf.not_before, leaf.not_after) == (
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
    assert WINDOW.begin + timedelta(hours=12) == leaf.renew_at


def test_the_key_is_the_certificates_and_on_p256() -> None:
    leaf = _signer().leaf(WEB, WINDOW)

    key = serialization.load_pem_private_key(leaf.private_key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert key.public_key() == _certificate(leaf).public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa_key(2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "P-521", "RSA", "Ed25519"],
)
def test_an_authority_of_any_kind_signs_the_same_leaf_twice(
    key: ec.EllipticCurvePrivateKey,
) -> None:
    entity = issuer(key=key)

    leaf = _signer(entity).leaf(WEB, WINDOW)

    assert leaf == _signer(entity).leaf(WEB, WINDOW)
    _certificate(leaf).verify_directly_issued_by(entity.certificate)


_ANOTHER_PROCESS = """
import sys
from datetime import datetime, timedelta
from towpath.ca.leaves import LeafSigner
from towpath.ca.secret import read_authority
from towpath.model.identity import Window
from towpath.model.names import Account

now = datetime.fromisoformat(sys.argv[1])
entries = {"ca.crt": sys.argv[2].encode(), "ca.key": sys.argv[3].encode()}
signer = LeafSigner.derived(read_authority(entries, clock=lambda: now), "cluster.local")
window = Window(now - timedelta(hours=1), timedelta(hours=12))
leaf = signer.leaf(Account("shop", "web"), window)
sys.stdout.buffer.write(leaf.certificate_chain + leaf.private_key)
"""


def test_another_process_makes_the_same_bytes() -> None:
    arguments = (NOW.isoformat(), ROOT.chain.decode(), ROOT.key_pem.decode())
    other = subprocess.run(
        [sys.executable, "-c", _ANOTHER_PROCESS, *arguments], capture_output=True, check=True
    )

    leaf = _signer().leaf(WEB, WINDOW)
    assert leaf.certificate_chain + leaf.private_key == other.stdout


def test_whatever_differs_gives_another_key_and_serial_number() -> None:
    signer = _signer()
    leaves = [
        signer.leaf(WEB, WINDOW),
        signer.leaf(API, WINDOW),
        signer.leaf(Account("web", "shop"), WINDOW),
        signer.leaf(WEB, LATER),
        signer.leaf(WEB, replace(WINDOW, length=timedelta(hours=1))),
        _signer(issuer()).leaf(WEB, WINDOW),
        _signer(domain="other").leaf(WEB, WINDOW),
    ]

    assert len(leaves) == len({leaf.private_key for leaf in leaves})
    serials = {_certificate(leaf).serial_number for leaf in leaves}
    assert len(leaves) == len(serials)
    assert all(0 < serial < 1 << 159 for serial in serials)


def test_names_that_run_together_are_told_apart() -> None:
    signer = _signer()

    one, other = signer.leaf(Account("a", "b.c"), WINDOW), signer.leaf(Account("a.b", "c"), WINDOW)

    assert one.private_key != other.private_key


def test_random_keys_last_as_long_as_their_secret() -> None:
    authority = read_authority(ROOT.own(), clock=clock)
    secret = new_secret()
    here = LeafSigner.random(authority, "cluster.local", secret)

    assert here.leaf(WEB, WINDOW) == here.leaf(WEB, WINDOW)
    other = LeafSigner.random(authority, "cluster.local", new_secret())
    assert here != other
    keys = {signer.leaf(WEB, WINDOW).private_key for signer in (here, other, _signer())}
    assert 3 == len(keys)


def test_a_further_root_makes_no_other_leaves() -> None:
    more = LeafSigner.derived(read_authority(ROOT.own(issuer()), clock=clock), "cluster.local")

    assert _signer() == more
    assert _signer().leaf(WEB, WINDOW) == more.leaf(WEB, WINDOW)


def test_a_leaf_ends_with_its_authority() -> None:
    leaf = _signer(issuer(end=timedelta(hours=2))).leaf(WEB, WINDOW)

    assert NOW + timedelta(hours=2) == leaf.not_after == _certificate(leaf).not_valid_after_utc


def test_an_authority_that_has_ended_since_still_gives_a_leaf_which_has_ended_too() -> None:
    leaf = _signer(issuer(end=timedelta(hours=2))).leaf(WEB, LATER)

    assert leaf.not_after < LATER.begin


def test_an_intermediate_is_sent_behind_the_leaf() -> None:
    one = issuer(ROOT)
    signer = LeafSigner.derived(read_authority(one.tls(ROOT), clock=clock), "cluster.local")

    certificates = x509.load_pem_x509_certificates(signer.leaf(WEB, WINDOW).certificate_chain)

    assert [one.certificate] == certificates[1:]
    certificates[0].verify_directly_issued_by(one.certificate)


def test_no_repr_shows_a_key() -> None:
    signer = _signer()
    text = repr([signer, signer.authority, signer.authority.pair, signer.leaf(WEB, WINDOW)])

    assert "PRIVATE KEY" not in text
    assert repr(signer.secret)[2:-1] not in text
