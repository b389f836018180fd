"""IP addresses as text."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address


def is_ipv4(text: str) -> bool:
    """True for an IPv4 address such as 10.0.0.1."""
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """True for an IPv6 address such as 2001:db8::1."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def is_address(text: str) -> bool:
    """True for an address of either kind: whatever else is a name."""
    return is_ipv4(text) or is_ipv6(text)
