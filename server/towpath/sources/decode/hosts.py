"""What may stand in a policy's `hosts` and `ipAddresses`."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from towpath.model.egress import is_host

HOSTS = (
    "a host name such as example.com, or *. before one for every name below it "
    "(no scheme, no port, no path, no other wildcard)"
)
RANGES = "an IPv4 range such as 10.0.0.0/8, or 192.0.2.1/32 for one address"


def host(text: str) -> str | None:
    """The host in lower case; None if it is not one."""
    lowered = text.lower()
    return lowered if is_host(lowered) else None


def ipv4_range(text: str) -> str | None:
    """The range in its canonical form (10.0.0.5/24 is 10.0.0.0/24); None if it is not one."""
    if "/" not in text:
        return None
    try:
        return str(IPv4Network(text, strict=False)) if text.partition("/")[2].isdigit() else None
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
