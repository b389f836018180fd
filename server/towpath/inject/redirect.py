"""The redirect of a pod's traffic through its sidecar, as rules for `iptables-restore --noflush`.

IPv4 and TCP, in the chains of Open Service Mesh, and two more for what these were not asked for;
the sidecar is known by its user. All of it is data: nothing of it is expanded or run by a shell.
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
_OUT_REST, _OUT_REJECT = "OSM_PROXY_OUT_REST", "OSM_PROXY_OUT_REJECT"
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
    yield "*filter"
    for chain in (_OUT_REST, _OUT_REJECT):
        yield f":{chain} - [0:0]"
    yield from _not_redirected(lists)
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
    yield from _to_others(_OUT, lists, caught=_OUT_REDIRECT)


def _not_redirected(lists: RedirectLists) -> Iterator[str]:
    """What should be redirected and is not does not leave the pod.

    The kernel remembers a connection of the sidecar that came to nothing, for two minutes. One of
    the application from the same port to the same address is taken for the same one, and the
    rules above are not asked for it.
    """
    yield f"-A {_OUT_REJECT} -p tcp -j REJECT --reject-with tcp-reset"
    opened = f"-p tcp --syn -m owner ! --uid-owner {SIDECAR_UID}"
    yield f"-A OUTPUT {opened} -j {_OUT_REST}"
    yield f"-A {_OUT_REST} -o lo -j RETURN"
    yield from _to_others(_OUT_REST, lists, caught=_OUT_REJECT)


def _to_others(chain: str, lists: RedirectLists, *, caught: str) -> Iterator[str]:
    """What is neither local nor excluded, and is included, goes on to the chain *caught*."""
    yield f"-A {chain} -d {_LOCAL} -j RETURN"
    for name in lists.excluded_interfaces:
        yield f"-A {chain} -o {name} -j RETURN"
    for cidr in lists.excluded_ranges:
        yield f"-A {chain} -d {cidr} -j RETURN"
    for ports in _ports(lists.excluded_outbound_ports):
        yield f"-A {chain} -p tcp -m multiport --dports {ports} -j RETURN"
    for cidr in lists.included_ranges:
        yield f"-A {chain} -d {cidr} -j {caught}"
    yield f"-A {chain} -j {'RETURN' if lists.included_ranges else caught}"


def _ports(ports: Iterable[int]) -> Iterator[str]:
    """The ports as multiport takes them, as many at a time as it can."""
    texts = [str(port) for port in dict.fromkeys(ports)]
    for start in range(0, len(texts), MOST_PORTS):
        yield ",".join(texts[start : start + MOST_PORTS])
