"""Authorities of every sort, as the entries of their Secret: what people give, and what is odd."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from towpath.ca.authority import SigningKey
from towpath.ca.secret import KEY, ROOTS, TLS_CHAIN, TLS_KEY

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
_PEM = serialization.Encoding.PEM
_NUMBERS = itertools.count(1)


def clock() -> datetime:
    return NOW


@dataclass(frozen=True)
class Issuer:
    """One certificate that may sign, its key, and the certificates above it."""

    key: SigningKey
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> bytes:
        return pem(self.certificate, *self.above)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(_PEM, form, serialization.NoEncryption())

    def own(self, *further: Issuer) -> dict[str, bytes]:
        """In Towpath's own layout, with *further* roots."""
        return {ROOTS: pem(self.certificate, *(f.certificate for f in further)), KEY: self.key_pem}

    def tls(self, root: Issuer | None = None) -> dict[str, bytes]:
        """In the layout of kubernetes.io/tls."""
        roots = b"" if root is None else pem(root.certificate)
        return {TLS_CHAIN: self.chain, TLS_KEY: self.key_pem, ROOTS: roots}


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(_PEM) for one in certificates)


def issuer(
    by: Issuer | None = None,
    *,
    key: SigningKey | None = None,
    begin: timedelta = -YEAR,
    end: timedelta = YEAR,
    ca: bool | None = True,
    path_length: int | None = None,
    further: tuple[x509.ExtensionType, ...] = (),
    subject: x509.Name | None = None,
) -> Issuer:
    """A root, or an intermediate that *by* signed; *ca* None: without basic constraints."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    common = f"authority {next(_NUMBERS)}"
    subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
    )
    if ca is not None:
        basic = x509.BasicConstraints(ca=ca, path_length=path_length)
        builder = builder.add_extension(basic, critical=True)
    for extension in further:
        builder = builder.add_extension(extension, critical=True)
    signer = by.key if by else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    above = () if by is None else (by.certificate, *by.above)
    return Issuer(key, builder.sign(signer, algorithm), tuple(c for c in above if _not_a_root(c)))


def rsa_key(bits: int) -> SigningKey:
    return rsa.generate_private_key(65537, bits)


def _not_a_root(certificate: x509.Certificate) -> bool:
    return certificate.subject != certificate.issuer
