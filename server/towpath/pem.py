"""Certificates and keys in PEM, as people give them; ValueError says which is wrong, and how."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def certificates(data: bytes, name: str) -> list[x509.Certificate]:
    """All of them, at least one; *name* is what the data is called in errors."""
    try:
        result = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(f"{name} holds no certificate (PEM)") from error
    if not data.count(_BEGIN) == data.count(_END) == len(result):
        raise ValueError(f"{name} is cut off: a certificate in it begins and does not end")
    return result


def private_key(data: bytes, name: str) -> PrivateKeyTypes:
    """A key of any kind, which is not encrypted."""
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ValueError(f"{name} is encrypted; give one that is not") from error
    except (ValueError, UnsupportedAlgorithm):
        # What the library says of it may quote the key.
        raise ValueError(f"{name} holds no private key (PEM) that can be used") from None


def out_of_time(certificate: x509.Certificate, now: datetime) -> str:
    """Why a certificate does not hold now, "" if it does."""
    if certificate.not_valid_after_utc <= now:
        return f"expired at {certificate.not_valid_after_utc.isoformat()}"
    if certificate.not_valid_before_utc > now:
        return f"is not valid before {certificate.not_valid_before_utc.isoformat()}"
    return ""


def signs(certificate: x509.Certificate) -> bool:
    """True for an authority's certificate."""
    basic = basic_constraints(certificate)
    return basic is not None and basic.ca


def basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    """None if there are none, or none that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
