"""Authority: a certificate authority whose key is in this process."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM

CLOCK_SKEW = timedelta(minutes=5)
"""A certificate is valid from this long ago: the clock of who checks it may be behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key (PKCS #8, not encrypted), both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Authority:
    """Issues certificates for servers and for clients; *clock* gives the time with a time zone.

    *chain* begins with the certificate of *key*; behind it come those that lead to one of *roots*,
    which are all that whoever checks our certificates is to trust.
    """

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: SigningKey,
        *,
        roots: Sequence[x509.Certificate] = (),
        clock: Callable[[], datetime],
    ) -> None:
        self.certificate = chain[0]
        self.key = key
        self.roots = tuple(roots or chain[-1:])
        self._intermediates = tuple(one for one in chain if one not in self.roots)
        above = [root for root in self.roots if root not in chain and issued(chain[-1], root)]
        # Of several roots that issued it, such as one that was renewed, the last one lasts.
        last = [max(above, key=_end)] if above and chain[-1] not in self.roots else []
        self.first_to_expire = min((*chain, *last), key=_end)
        self._clock = clock
        self._same = (tuple(chain), self.roots, key_bytes(key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Authority) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)

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
        return cls([certificate], key, clock=clock)

    @classmethod
    def load(cls, pair: Pair, *, clock: Callable[[], datetime]) -> Authority:
        """The one that *pair* was taken from; ValueError if it is not such a pair."""
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, password=None)
        public = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != public:
            raise ValueError("the key is not the elliptic-curve key of the certificate")
        return cls([certificate], key, clock=clock)

    @property
    def expires_at(self) -> datetime:
        """When the first certificate of the chain expires, the root that issued it among them."""
        return _end(self.first_to_expire)

    @property
    def pair(self) -> Pair:
        return _pair(self.certificate, self.key)

    @property
    def trusted(self) -> bytes:
        """The roots (PEM), in an order that depends on nothing but themselves."""
        in_order = sorted(self.roots, key=fingerprint)
        return b"".join(root.public_bytes(_PEM) for root in in_order)

    @property
    def intermediates(self) -> bytes:
        """What is sent behind each certificate (PEM), so that it leads to a root."""
        return b"".join(one.public_bytes(_PEM) for one in self._intermediates)

    @property
    def chain(self) -> bytes:
        """The certificate that signs, and what is sent behind it (PEM)."""
        return self.certificate.public_bytes(_PEM) + self.intermediates

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """What certificates say of who signed them."""
        own = self.certificate.extensions
        try:
            identifier = own.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The same builder gives the same certificate, to the last byte."""
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return builder.sign(self.key, _hash_for(self.key), ecdsa_deterministic=True)
            case rsa.RSAPrivateKey():
                return builder.sign(self.key, hashes.SHA256())
            case _:
                return builder.sign(self.key, None)

    def issue(
        self,
        name: str,
        *,
        lifetime: timedelta,
        dns: Iterable[str] = (),
        addresses: Iterable[str] = (),
        uris: Iterable[str] = (),
    ) -> Pair:
        """A new key and its certificate: common name *name*, and what else it stands for.

        It does not outlive the authority.
        """
        now = self._clock()
        lifetime = min(lifetime, self.expires_at - now)
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [
            *(x509.DNSName(one) for one in dns),
            *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
            *(x509.UniformResourceIdentifier(one) for one in uris),
        ]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = self.certificate.subject
        builder = (
            _builder(_name(name), issuer=issuer, key=key, now=now, lifetime=lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(self.key_identifier, critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        pair = _pair(self.sign(builder), key)
        return Pair(pair.certificate + self.intermediates, pair.key)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True if *issuer* signed the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def fingerprint(certificate: x509.Certificate) -> str:
    """Its SHA-256, in hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _end(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


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


def _hash_for(key: ec.EllipticCurvePrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    if key.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()


def key_bytes(key: SigningKey) -> bytes:
    """A private key (PKCS #8, DER): the same for the same key."""
    der, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return key.private_bytes(der, form, serialization.NoEncryption())


def _pair(certificate: x509.Certificate, key: SigningKey) -> Pair:
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Pair(certificate.public_bytes(_PEM), key.private_bytes(_PEM, form, cipher))
