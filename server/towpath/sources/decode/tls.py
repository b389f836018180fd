"""What a MeshConfig says of TLS between sidecars.

What an Envoy would reject, or by which no two sidecars could speak, is not sent to any: an entry
that is not allowed is left out, and a list of which nothing is left counts as none.
"""

from __future__ import annotations

import re

from towpath.model.codes import Code
from towpath.model.identity import TLS_DEFAULTS, TlsParameters
from towpath.sources.decode.fields import Reader
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.slips import meant

TLS12, TLS13 = "TLSv1_2", "TLSv1_3"
VERSIONS = (TLS12, TLS13)
MINIMUM = "tlsMinProtocolVersion"
AUTOMATIC = ("", "TLS_AUTO")
"""What asks for the default, as in Open Service Mesh."""

P256 = "P-256"
CURVES = ("X25519", P256, "P-384", "P-521")

ECDSA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
)
"""Ciphers for certificates of elliptic curves, as those of sidecars are."""
CIPHERS = (*ECDSA, *(name.replace("ECDSA", "RSA") for name in ECDSA))
"""Those that keep what was said secret if a key is lost later; the others are harmless beside the
first, and of no use.
"""


def tls_parameters(sidecar: Reader, findings: Findings, *, newest: bool) -> TlsParameters:
    """The section `sidecar` of one MeshConfig; *newest*: something else of it may ask for TLS 1.3
    at least.
    """
    minimum = TLS13 if newest else TLS_DEFAULTS.minimum
    if sidecar.value(MINIMUM) not in AUTOMATIC:
        unclear = TLS13 if seems_newest(sidecar.value(MINIMUM)) else TLS_DEFAULTS.minimum
        minimum = max(minimum, sidecar.choice(MINIMUM, VERSIONS, default=unclear))
    maximum = _version(sidecar, "tlsMaxProtocolVersion", TLS_DEFAULTS.maximum)
    if minimum > maximum:
        message = f"is {show(maximum)}, older than tlsMinProtocolVersion; {show(minimum)} is used"
        findings.add(Code.INVALID_VALUE, sidecar.path("tlsMaxProtocolVersion"), message)
        maximum = minimum
    ciphers = _entries(sidecar, "cipherSuites", CIPHERS, findings)
    if ciphers and not set(ciphers) & set(ECDSA):
        message = (
            "has no cipher for certificates on elliptic curves, which sidecars have; one of them "
            f"is to be {', '.join(ECDSA)}; Envoy's own are used"
        )
        findings.add(Code.UNUSABLE_LIST, sidecar.path("cipherSuites"), message)
        ciphers = ()
    curves = _entries(sidecar, "ecdhCurves", CURVES, findings)
    if curves and P256 not in curves and maximum == TLS12:
        message = f"is without {P256}, the curve of the sidecars' keys, as TLS 1.2 needs it; added"
        findings.add(Code.CORRECTED_VALUE, sidecar.path("ecdhCurves"), message)
        curves = (*curves, P256)
    return TlsParameters(minimum, maximum, ciphers, curves)


def seems_newest(value: object) -> bool:
    """True for what can only be meant for TLS 1.3, such as `TLSv1.3`, 1.3 or `[TLSv1_3]`."""
    values = value if isinstance(value, list) else [value]
    return any(_seems_newest(str(one)) for one in values if isinstance(one, str | int | float))


def _seems_newest(text: str) -> bool:
    if re.findall(r"[0-9]", text) == ["1", "3"]:
        return True
    return text != TLS12 and bool(meant(text, (TLS13,))) and not meant(text, (TLS12,))


def _version(sidecar: Reader, name: str, default: str) -> str:
    if sidecar.value(name) in AUTOMATIC:
        return default
    return sidecar.choice(name, VERSIONS, default=default)


def _entries(
    sidecar: Reader, name: str, allowed: tuple[str, ...], findings: Findings
) -> tuple[str, ...]:
    """The entries that are allowed, each once, in their order."""
    entries = list[str]()
    for path, text in sidecar.texts_at(name):
        if text not in allowed:
            words = ", ".join(allowed)
            findings.invalid(path, text, allowed=words, effect="it is left out")
        elif text not in entries:
            entries.append(text)
    return tuple(entries)
