"""What the Secret of an authority may hold, and what must be true of it before it is used.

Two layouts: Towpath's own, and that of `kubernetes.io/tls`, in which cert-manager, Vault and others
supply an intermediate. Whatever a sidecar would take and then could not use is refused here, by
a ValueError that names the entry: it would fail every handshake, and say so to nobody.

| entry     | own layout                           | kubernetes.io/tls                         |
|-----------|--------------------------------------|-------------------------------------------|
| `ca.crt`  | all trusted roots, one of `ca.key`   | the trusted roots                         |
| `ca.key`  | the key that signs                   |                                           |
| `next.key`| during a rotation, the key that will |                                           |
| `tls.crt` |                                      | the certificate that signs, and its chain |
| `tls.key` |                                      | the key that signs                        |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from towpath import pem
from towpath.ca.authority import Authority, SigningKey, issued

ROOTS, KEY, NEXT_KEY = "ca.crt", "ca.key", "next.key"
TLS_CHAIN, TLS_KEY = "tls.crt", "tls.key"
ENTRIES = (ROOTS, KEY, NEXT_KEY, TLS_CHAIN, TLS_KEY)

CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
SHORTEST_RSA = 2048
MOST_ROOTS = 32
"""More than anybody needs; each sidecar is sent all of them."""


def read_authority(entries: Mapping[str, bytes], *, clock: Callable[[], datetime]) -> Authority:
    """The authority of these entries, in either layout; ValueError says what is wrong with them.

    A further root that has expired is left out: it would be of no use, and harms nobody.
    """
    now = clock()
    if KEY in entries and TLS_KEY in entries:
        raise ValueError(f"there are both {KEY} and {TLS_KEY}: keep the one that should sign")
    if TLS_KEY in entries or TLS_CHAIN in entries:
        return _of_tls(entries, now, clock)
    return _own(entries, now, clock)


def _own(entries: Mapping[str, bytes], now: datetime, clock: Callable[[], datetime]) -> Authority:
    roots = pem.certificates(_entry(entries, ROOTS), ROOTS)
    key = _signing_key(_entry(entries, KEY), KEY)
    if NEXT_KEY in entries:
        _matching(roots, _signing_key(entries[NEXT_KEY], NEXT_KEY), NEXT_KEY)
    certificate = _matching(roots, key, KEY)
    _check_chain([certificate], now, ROOTS)
    return Authority([certificate], key, roots=_usable_roots(roots, now), clock=clock)


def _of_tls(
    entries: Mapping[str, bytes], now: datetime, clock: Callable[[], datetime]
) -> Authority:
    chain = pem.certificates(_entry(entries, TLS_CHAIN), TLS_CHAIN)
    key = _signing_key(_entry(entries, TLS_KEY), TLS_KEY)
    if not _is_of(chain[0], key):
        raise ValueError(f"{TLS_KEY} is not the key of the first certificate in {TLS_CHAIN}")
    _check_chain(chain, now, TLS_CHAIN)
    if entries.get(ROOTS, b"").strip():
        roots = _usable_roots(pem.certificates(entries[ROOTS], ROOTS), now)
    elif issued(chain[-1], chain[-1]):
        roots = [chain[-1]]
    else:
        text = f"{TLS_CHAIN} does not end in a root, and there is no {ROOTS} with one"
        raise ValueError(text)
    if chain[-1] not in roots:
        issuers = [root for root in roots if issued(chain[-1], root)]
        if not issuers:
            raise ValueError(f"{TLS_CHAIN} does not lead to a root in {ROOTS} that is valid")
        _check_chain([*chain, issuers[0]], now, f"{TLS_CHAIN} with {ROOTS}")
    return Authority(chain, key, roots=roots, clock=clock)


def _entry(entries: Mapping[str, bytes], name: str) -> bytes:
    data = entries.get(name, b"")
    if not data.strip():
        present = ", ".join(sorted(entries)) or "nothing"
        raise ValueError(f"{name} is missing or empty (there is {present})")
    return data


def _signing_key(data: bytes, name: str) -> SigningKey:
    key = pem.private_key(data, name)
    if not isinstance(key, SigningKey):
        raise ValueError(  # noqa: TRY004
            f"{name} is of a kind that cannot be used: allowed are elliptic-curve, RSA and Ed25519"
        )
    if fault := _unfit(key):
        raise ValueError(f"{name} is {fault}")
    return key


def _unfit(key: PrivateKeyTypes | object) -> str:
    """Why sidecars do not take what is signed by a key (private or public); "" if they do."""
    match key:
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            if not isinstance(key.curve, CURVES):
                return f"on the curve {key.curve.name}: allowed are P-256, P-384 and P-521"
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            if key.key_size < SHORTEST_RSA:
                return f"RSA of {key.key_size} bits: allowed are {SHORTEST_RSA} and more"
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return ""
        case _:
            return "of a kind that cannot be used"
    return ""


def _matching(roots: Sequence[x509.Certificate], key: SigningKey, name: str) -> x509.Certificate:
    """The certificate of *key*; of several, the one that is valid longest."""
    own = [root for root in roots if _is_of(root, key)]
    if not own:
        raise ValueError(f"{name} is not the key of a certificate in {ROOTS}")
    return max(own, key=lambda root: root.not_valid_after_utc)


def _check_chain(chain: Sequence[x509.Certificate], now: datetime, name: str) -> None:
    """ValueError unless each may sign, now, what is below it."""
    for below, certificate in enumerate(chain):
        where = f"{name}: certificate {below + 1} ({_who(certificate)})"
        if fault := _bad_authority(certificate, below=below) or pem.out_of_time(certificate, now):
            raise ValueError(f"{where} {fault}")
    for number, (certificate, issuer) in enumerate(pairwise(chain), start=1):
        if not issued(certificate, issuer):
            text = f"certificate {number} is not issued by certificate {number + 1}, behind it"
            raise ValueError(f"{name}: {text}")


def _usable_roots(roots: Sequence[x509.Certificate], now: datetime) -> list[x509.Certificate]:
    """Those that have not expired, each once; ValueError if one is not an authority's."""
    for number, root in enumerate(roots, start=1):
        if fault := _bad_authority(root, below=0):
            raise ValueError(f"{ROOTS}: certificate {number} ({_who(root)}) {fault}")
    usable = list(dict.fromkeys(one for one in roots if one.not_valid_after_utc > now))
    if not usable:
        raise ValueError(f"{ROOTS}: every certificate has expired")
    if len(usable) > MOST_ROOTS:
        raise ValueError(f"{ROOTS} has {len(usable)} certificates: at most {MOST_ROOTS} are used")
    return usable


def _bad_authority(certificate: x509.Certificate, *, below: int) -> str:
    """Why a certificate may not sign others, *below* of which sign in their turn; "" if it may."""
    try:
        public = certificate.public_key()
        extensions = certificate.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        return f"cannot be read: {error}"
    if fault := _unfit(public):
        return f"has a key that is {fault}"
    basic = pem.basic_constraints(certificate)
    if basic is None or not basic.ca:
        return "is not an authority's (no CA in its basic constraints)"
    if basic.path_length is not None and basic.path_length < below:
        return f"allows {basic.path_length} authorities below it, and there are {below}"
    for extension in extensions:
        match extension.value:
            case x509.KeyUsage(key_cert_sign=False):
                return "may not sign certificates (its key usage)"
            case x509.ExtendedKeyUsage() as purposes if not _both(purposes):
                return "may not sign for servers and clients both (its extended key usage)"
            case x509.NameConstraints() as names if not _any_uri(names):
                return "allows some names only (name constraints), which is not supported"
    return ""


def _both(purposes: x509.ExtendedKeyUsage) -> bool:
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    return ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes or both <= set(purposes)


def _any_uri(names: x509.NameConstraints) -> bool:
    """True if they say nothing of URIs, the only names in leaves."""
    trees = (*(names.permitted_subtrees or ()), *(names.excluded_subtrees or ()))
    return not any(isinstance(tree, x509.UniformResourceIdentifier) for tree in trees)


def _is_of(certificate: x509.Certificate, key: SigningKey) -> bool:
    try:
        return bool(certificate.public_key() == key.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def _who(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a subject"
