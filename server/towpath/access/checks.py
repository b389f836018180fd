"""What the TLS files must hold to be taken into use; ValueError says which is wrong, and how.

A certificate that gRPC takes and then cannot use fails every handshake after it, and says so to
nobody; so it is looked at before.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from towpath import pem

CURVES = (ec.SECP256R1, ec.SECP384R1)
"""Those that gRPC signs with; it offers no other."""
SHORTEST_RSA = 2048


def check_pair(
    chain: bytes, key: bytes, *, now: datetime, names: tuple[str, str]
) -> x509.Certificate:
    """A server's chain (its own certificate first) and its key, both PEM; gives its certificate.

    *names* are what the chain and the key are called in errors.
    """
    its, its_key = names
    certificates = pem.certificates(chain, its)
    leaf = certificates[0]
    for certificate in certificates:
        if fault := pem.out_of_time(certificate, now):
            raise ValueError(f"{its} {fault}")
    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{its} has a key that cannot be used: {error}") from error
    if public != _private(key, its_key).public_key():
        raise ValueError(f"{its_key} is not the key of {its}")
    if fault := _unfit(public):
        raise ValueError(f"{its} has {fault}")
    for number, (certificate, issuer) in enumerate(pairwise(certificates), start=1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            text = f"certificate {number} is not issued by certificate {number + 1}, behind it"
            raise ValueError(f"{its}: {text}") from error
    return leaf


def check_authorities(bundle: bytes, *, now: datetime, name: str) -> None:
    """Authorities that clients' certificates may come from (PEM); one of them must be valid."""
    certificates = pem.certificates(bundle, name)
    for number, certificate in enumerate(certificates, start=1):
        if not pem.signs(certificate):
            who = certificate.subject.rfc4514_string() or "without a subject"
            raise ValueError(f"{name}: certificate {number} ({who}) is not an authority's")
    faults = [pem.out_of_time(certificate, now) for certificate in certificates]
    if all(faults):
        raise ValueError(f"{name} {faults[0]}")


def _private(data: bytes, name: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    key = pem.private_key(data, name)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"{name} is neither an RSA nor an elliptic-curve key")  # noqa: TRY004
    return key


def _unfit(public: object) -> str:
    """Why gRPC cannot use a key, "" if it can."""
    if isinstance(public, ec.EllipticCurvePublicKey) and not isinstance(public.curve, CURVES):
        return f"a key on the curve {public.curve.name}: allowed are P-256 and P-384"
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < SHORTEST_RSA:
        return f"an RSA key of {public.key_size} bits: allowed are {SHORTEST_RSA} and more"
    return ""
