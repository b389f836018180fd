"""What a client's certificate says of its holder, read from its own bytes.

gRPC's summary of a certificate ends each name at its first zero byte, and does not say whether the
certificate may sign others: another's name and an authority would pass for a sidecar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

REMEMBERED = 1024
"""Certificates whose reading is kept: a sidecar opens several streams with one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate is for. `spiffe_id` is "" if it has no URI, or several, or may sign other
    certificates (https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#52-leaf-validation).
    """

    spiffe_id: str
    expires_at: datetime | None


NOBODY = Identity("", None)


@lru_cache(maxsize=REMEMBERED)
def identity(pem: bytes) -> Identity:
    """The identity of a certificate that has been verified; NOBODY if it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        expires_at = certificate.not_valid_after_utc
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return NOBODY
    return Identity("" if _signs(extensions) else _uri(extensions), expires_at)


def _uri(extensions: x509.Extensions) -> str:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if len(uris) == 1 else ""


def _signs(extensions: x509.Extensions) -> bool:
    """True for an authority's certificate."""
    for extension in extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                return True
            case x509.KeyUsage(key_cert_sign=True) | x509.KeyUsage(crl_sign=True):
                return True
    return False
