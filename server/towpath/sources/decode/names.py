"""What names may look like: RFC 1123 labels and subdomains, port numbers and port names, IPv4."""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import IPv4Address

from towpath.model.addresses import is_ipv4

PORTS = "an integer from 1 to 65535"
ADDRESSES = "an IPv4 address such as 10.0.0.1"

_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"


class NameRule(Enum):
    """A rule for names: (pattern, longest, in words)."""

    LABEL = (
        re.compile(_LABEL),
        63,
        "a lower-case RFC 1123 label (a-z, 0-9 and '-', at most 63 characters)",
    )
    SUBDOMAIN = (
        re.compile(rf"{_LABEL}(?:\.{_LABEL})*"),
        253,
        "a lower-case RFC 1123 subdomain (a-z, 0-9, '-' and '.', at most 253 characters)",
    )
    PORT = (
        re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"),
        15,
        "a port name (a-z, 0-9 and '-', at least one letter, at most 15 characters)",
    )

    def holds(self, name: object) -> bool:
        pattern, longest, _ = self.value
        return (
            isinstance(name, str) and len(name) <= longest and pattern.fullmatch(name) is not None
        )

    @property
    def words(self) -> str:
        return str(self.value[2])


_DOMAIN = ("svc", "cluster", "local")


def service_named(host: str, namespace: str) -> str:
    """The Service of *namespace* that a name of DNS means, such as web or web.shop.svc; "" for
    any other name.
    """
    name, *rest = host.split(".")
    whole = (namespace, *_DOMAIN)
    return (
        name if NameRule.LABEL.holds(name) and tuple(rest) in {whole[:n] for n in range(5)} else ""
    )


def is_port(number: int | None) -> bool:
    return number is not None and 1 <= number <= 65535


def is_dialable(address: str) -> bool:
    """True for an IPv4 address that a connection can be made to."""
    if not is_ipv4(address):
        return False
    parsed = IPv4Address(address)
    return not (parsed.is_unspecified or parsed.is_multicast)
