"""Rotation of an authority that is Towpath's own, in three steps, each of which loses nobody.

| step  | then                                                                   |
|-------|------------------------------------------------------------------------|
| trust | a new root is trusted beside the old one, which still signs            |
| sign  | the new one signs; both are trusted                                    |
| drop  | the old one is trusted no longer                                       |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from towpath.ca.authority import Authority
from towpath.ca.secret import KEY, NEXT_KEY, ROOTS, TLS_KEY, read_authority

Entries = Mapping[str, bytes]


class TooEarly(Exception):
    """The step before is not done; the message says which that is."""


def trust(
    entries: Entries, name: str, *, lifetime: timedelta, clock: Callable[[], datetime]
) -> Entries:
    """With a new root of that name beside those that are trusted."""
    _own(entries, clock)
    if NEXT_KEY in entries:
        raise TooEarly("a new root is trusted already: the next step is `rotate sign`")
    new = Authority.create(name, lifetime=lifetime, clock=clock).pair
    return {**entries, ROOTS: entries[ROOTS].rstrip() + b"\n" + new.certificate, NEXT_KEY: new.key}


def sign(entries: Entries, *, clock: Callable[[], datetime]) -> Entries:
    """With the new root's key as the one that signs; the old one's is gone."""
    old = _own(entries, clock)
    if NEXT_KEY not in entries:
        raise TooEarly("there is no new root yet: the first step is `rotate trust`")
    left = {name: data for name, data in entries.items() if name != NEXT_KEY}
    new = read_authority({**left, KEY: entries[NEXT_KEY]}, clock=clock)
    # The one that signs stands first, where a version without rotation looks for it.
    others = [root for root in old.roots if root != new.certificate]
    return {**left, KEY: entries[NEXT_KEY], ROOTS: _pem(new.certificate, *others)}


def drop(entries: Entries, name: str, *, clock: Callable[[], datetime]) -> Entries:
    """Without the roots of that name which do not sign; roots of others stay."""
    authority = _own(entries, clock)
    if NEXT_KEY in entries:
        raise TooEarly("the new root does not sign yet: the next step is `rotate sign`")
    kept = [
        root
        for root in authority.roots
        if root == authority.certificate or _common_name(root) != name
    ]
    if len(kept) == len(authority.roots):
        raise TooEarly("there is no old root: the first step is `rotate trust`")
    return {**entries, ROOTS: _pem(*kept)}


def next_root(entries: Entries, *, clock: Callable[[], datetime]) -> x509.Certificate:
    """The certificate that `sign` will sign with. Raises TooEarly."""
    if NEXT_KEY not in entries:
        raise TooEarly("there is no new root yet: the first step is `rotate trust`")
    left = {name: data for name, data in entries.items() if name != NEXT_KEY}
    return read_authority({**left, KEY: entries[NEXT_KEY]}, clock=clock).certificate


def _own(entries: Entries, clock: Callable[[], datetime]) -> Authority:
    if TLS_KEY in entries:
        raise ValueError(
            f"the authority comes from elsewhere ({TLS_KEY}), and is rotated there: put the new "
            f"root into {ROOTS} beside the old one, then exchange tls.crt and {TLS_KEY}, then take "
            "the old root away; look at `towpath certificates list` in between"
        )
    return read_authority(entries, clock=clock)


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
