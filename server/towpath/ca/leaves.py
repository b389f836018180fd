"""LeafSigner: the certificates that sidecars show to each other.

A leaf is a function of the authority, the account and the window, down to the last byte: its key is
derived, its serial number is a hash, and its signature takes no random number. So replicas that
never spoke to each other send the same, and so does one that starts anew: nothing is stored, and
nothing is pushed because another replica serves a sidecar now. docs/decisions has the reasons, and
what this costs.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID

from towpath.ca.authority import CLOCK_SKEW, Authority, fingerprint, key_bytes
from towpath.model.identity import Leaf, Window
from towpath.model.names import Account

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SALT = b"towpath leaf key, form 1"
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LeafSigner:
    """Makes leaves of *authority*; equal ones make equal leaves.

    `chain` is what is sent behind a leaf and what signs it (PEM), `expires_at` its end: whom else
    sidecars trust makes no difference. `secret` is what the leaves' keys are derived from.
    """

    authority: Authority = field(repr=False, compare=False)
    chain: bytes
    expires_at: datetime
    trust_domain: str
    secret: bytes = field(repr=False)

    @classmethod
    def derived(cls, authority: Authority, trust_domain: str) -> LeafSigner:
        """Its keys depend on the authority's key: every replica has the same."""
        return cls.random(authority, trust_domain, key_bytes(authority.key))

    @classmethod
    def random(cls, authority: Authority, trust_domain: str, secret: bytes) -> LeafSigner:
        """Its keys depend on a *secret* that nobody else has, such as `new_secret` gives."""
        return cls(authority, authority.chain, authority.expires_at, trust_domain, secret)

    def leaf(self, account: Account, window: Window) -> Leaf:
        """The leaf of one account in one window."""
        key = self._key(account, window)
        public = key.public_key()
        # Never beyond the authority's own end, nor before its beginning.
        end = min(window.begin + 2 * window.length, self.expires_at)
        begin = min(window.begin - CLOCK_SKEW, end - _SECOND)
        uri = f"spiffe://{self.trust_domain}/ns/{account.namespace}/sa/{account.name}"
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.authority.certificate.subject)
            .public_key(public)
            .serial_number(self._serial(public, begin, end))
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_USAGE, critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(self.authority.key_identifier, critical=False)
            # Critical, as there is no subject beside it.
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True
            )
        )
        pem = serialization.Encoding.PEM
        form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return Leaf(
            account=account,
            certificate_chain=self.authority.sign(builder).public_bytes(pem)
            + self.authority.intermediates,
            private_key=key.private_bytes(pem, form, cipher),
            not_before=begin,
            not_after=end,
            renew_at=window.begin + window.length,
        )

    def _key(self, account: Account, window: Window) -> ec.EllipticCurvePrivateKey:
        what = (
            fingerprint(self.authority.certificate),
            self.trust_domain,
            account.namespace,
            account.name,
            str(int(window.begin.timestamp())),
            str(window.length // _SECOND),
        )
        # More bits than the order has, so that the remainder is as good as uniform.
        size = 48
        info = "\0".join(what).encode()
        derived = HKDF(hashes.SHA256(), length=size, salt=_SALT, info=info).derive(self.secret)
        number = int.from_bytes(derived, "big") % (_P256_ORDER - 1) + 1
        return ec.derive_private_key(number, ec.SECP256R1())

    def _serial(self, public: ec.EllipticCurvePublicKey, *times: object) -> int:
        """A positive number of at most 20 bytes, as RFC 5280 wants it."""
        der = serialization.Encoding.DER
        info = public.public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashlib.sha256(info + repr(times).encode()).digest()
        return (int.from_bytes(digest[:20], "big") >> 1) | 1


def new_secret() -> bytes:
    """What random keys are derived from, for as long as the process runs."""
    return secrets.token_bytes(32)


_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
