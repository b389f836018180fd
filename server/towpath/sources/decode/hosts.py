"""What may stand in a policy's `hosts` and `ipAddresses`."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from towpath.model.egress import is_host
from towpath.sources.decode.findings import show

HOSTS = (
    "a host name such as example.com, or *. before one for every name below it "
    "(no scheme, no port, no path, no other wildcard)"
)
_NO_HOST = re.compile(r"[^-.*_0-9A-Za-z]|(?<!^)\*")
RANGES = "an IPv4 range such as 10.0.0.0/8, or 192.0.2.1/32 for one address"


def host(text: str) -> str | None:
    """The host in lower case, without a final dot; None if it is not one."""
    lowered = text.lower().removesuffix(".")
    return lowered if is_host(lowered) else None


def hosts_like(text: str) -> str:
    """What is allowed in place of *text*, with the character of it that is not, if it is that."""
    wrong = _NO_HOST.search(text)
    return f"{HOSTS}; not allowed: {show(wrong[0])}" if wrong else HOSTS


def ranges_like(_text: str) -> str:
    return RANGES


def ipv4_range(text: str) -> str | None:
    """The canonical range, or the one address that is meant (see `narrowed`); None for neither."""
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit():
        return None
    try:
        range_ = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
    return str(range_) if str(range_.network_address) == address else f"{address}/32"


def narrowed(text: str, range_: str) -> str | None:
    """What to say of a range that is not what was written, where it names an address inside.

    Whoever wrote 10.0.0.5/24 meant that address, or all 256: the address is in both.
    """
    address, _, length = text.partition("/")
    if range_ != f"{address}/32" or int(length) == 32:
        return None
    whole = IPv4Network(text, strict=False)
    return f"is an address inside of {whole}: {range_} is used; if all are meant, say {whole}"
