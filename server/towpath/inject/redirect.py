"""The redirect of a pod's traffic through its sidecar, as rules for `iptables-restore --noflush`.

IPv4 and TCP, in the chains of Open Service Mesh; the sidecar is known by its user. All of it is
data: nothing of it is expanded or run by a shell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.model.injection import RedirectLists
from towpath.model.ports import (
    ADMIN_PORT,
    INBOUND_PORT,
    OUTBOUND_PORT,
    PROBE_PORTS,
    PROMETHEUS_PORT,
)

SIDECAR_UID = 1500
MOST_PORTS = 15
"""How many ports one rule of iptables' multiport can have."""

_IN, _IN_REDIRECT = "OSM_PROXY_INBOUND", "OSM_PROXY_IN_REDIRECT"
_OUT, _OUT_REDIRECT = "OSM_PROXY_OUTBOUND", "OSM_PROXY_OUT_REDIRECT"
_LOCAL = "127.0.0.1/32"


def redirect(lists: RedirectLists) -> str:
    """The rules, a line each."""
    return "".join(f"{line}\n" for line in _lines(lists))


def to_pod_ip(address: str) -> list[str]:
    """The rule by which the sidecar reaches the application at that address of the pod, not on
    loopback, as arguments of `iptables`. Its own admin interface stays where it is.
    """
    sidecar = ("-m", "owner", "--uid-owner", str(SIDECAR_UID))
    local = ("-p", "tcp", "-o", "lo", "-d", _LOCAL, "!", "--dport", str(ADMIN_PORT))
    to = ("-j", "DNAT", "--to-destination", address)
    return ["-t", "nat", "-I", "OUTPUT", *local, *sidecar, *to]


def _lines(lists: RedirectLists) -> Iterator[str]:
    yield "*nat"
    for chain in (_IN, _IN_REDIRECT, _OUT, _OUT_REDIRECT):
        yield f":{chain} - [0:0]"
    yield from _inbound(lists)
    yield from _outbound(lists)
    yield "COMMIT"


def _inbound(lists: RedirectLists) -> Iterator[str]:
    yield f"-A {_IN_REDIRECT} -p tcp -j REDIRECT --to-port {INBOUND_PORT}"
    yield f"-A PREROUTING -p tcp -j {_IN}"
    for name in lists.excluded_interfaces:
        yield f"-A {_IN} -i {name} -j RETURN"
    # The sidecar's own ports are reached as they are.
    own = (PROMETHEUS_PORT, *sorted(PROBE_PORTS))
    for ports in _ports((*own, *lists.excluded_inbound_ports)):
        yield f"-A {_IN} -p tcp -m multiport --dports {ports} -j RETURN"
    yield f"-A {_IN} -p tcp -j {_IN_REDIRECT}"


def _outbound(lists: RedirectLists) -> Iterator[str]:
    yield f"-A {_OUT_REDIRECT} -p tcp -j REDIRECT --to-port {OUTBOUND_PORT}"
    yield f"-A OUTPUT -p tcp -j {_OUT}"
    # The sidecar calls its own pod (through a Service, say): that is inbound traffic.
    to_itself = f"-o lo ! -d {_LOCAL} -m owner --uid-owner {SIDECAR_UID}"
    yield f"-A {_OUT} {to_itself} -j {_IN_REDIRECT}"
    # The application talks to itself; what the sidecar sends is on its way already.
    yield f"-A {_OUT} -o lo -m owner ! --uid-owner {SIDECAR_UID} -j RETURN"
    yield f"-A {_OUT} -m owner --uid-owner {SIDECAR_UID} -j RETURN"
    yield f"-A {_OUT} -d {_LOCAL} -j RETURN"
    for name in lists.excluded_interfaces:
        yield f"-A {_OUT} -o {name} -j RETURN"
    for cidr in lists.excluded_ranges:
        yield f"-A {_OUT} -d {cidr} -j RETURN"
    for ports in _ports(lists.excluded_outbound_ports):
        yield f"-A {_OUT} -p tcp -m multiport --dports {ports} -j RETURN"
    for cidr in lists.included_ranges:
        yield f"-A {_OUT} -d {cidr} -j {_OUT_REDIRECT}"
    yield f"-A {_OUT} -j {'RETURN' if lists.included_ranges else _OUT_REDIRECT}"


def _ports(ports: Iterable[int]) -> Iterator[str]:
    """The ports as multiport takes them, as many at a time as it can."""
    texts = [str(port) for port in dict.fromkeys(ports)]
    for start in range(0, len(texts), MOST_PORTS):
        yield ",".join(texts[start : start + MOST_PORTS])
