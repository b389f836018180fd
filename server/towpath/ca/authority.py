"""Authority: a certificate authority whose key is in this process."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = timedelta(minutes=5)
"""A certificate is valid from this long ago: the clock of who checks it may be behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key (PKCS #8, not encrypted), both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates for servers and for clients; *clock* gives the time with a time zone."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock

    @classmethod
    def create(cls, name: str, *, lifetime: timedelta, clock: Callable[[], datetime]) -> Authority:
        """A new one, which signs itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = _key_usage(signs_certificates=True)
        certificate = (
            _builder(_name(name), issuer=_name(name), key=key, now=clock(), lifetime=lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, clock=clock)

    @classmethod
    def load(cls, pair: Pair, *, clock: Callable[[], datetime]) -> Authority:
        """The one that *pair* was taken from; ValueError if it is not such a pair."""
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, password=None)
        public = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != public:
            raise ValueError("the key is not the elliptic-curve key of the certificate")
        return cls(certificate, key, clock=clock)

    @property
    def pair(self) -> Pair:
        return _pair(self._certificate, self._key)

    def issue(
        self,
        name: str,
        *,
        lifetime: timedelta,
        dns: Iterable[str] = (),
        addresses: Iterable[str] = (),
        uris: Iterable[str] = (),
    ) -> Pair:
        """A new key and its certificate: common name *name*, and what else it stands for."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [
            *(x509.DNSName(one) for one in dns),
            *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
            *(x509.UniformResourceIdentifier(one) for one in uris),
        ]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = self._certificate
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(
                _name(name), issuer=issuer.subject, key=key, now=self._clock(), lifetime=lifetime
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(identifier, critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    *,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
