"""The network of the data-plane tests.

::

    curl       10.10.0.2 ─┐
    bookstore-0 10.10.0.3 ┼─ bridge 10.10.0.1 [control plane, router] 10.20.0.1 ── outside
    bookstore-1 10.10.0.4 ┘                                              10.20.0.10 to .19

Each pod has a default route to the router. Service addresses (10.96.0.0/16) exist nowhere: only
a sidecar can make something of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.dataplane.iptables import redirect
from support.dataplane.netns import Namespace, sweep, unique_name

ROUTER = "10.10.0.1"
OUTSIDE_ROUTER = "10.20.0.1"
OUTSIDE = tuple(f"10.20.0.{last}" for last in range(10, 20))
NAME_SERVER = OUTSIDE[-1]
POD_ADDRESSES: Mapping[str, str] = {
    "curl": "10.10.0.2",
    "bookstore-0": "10.10.0.3",
    "bookstore-1": "10.10.0.4",
}


@dataclass(frozen=True, slots=True)
class Network:
    """The namespaces by role; a pod's key is the pod's name."""

    control: Namespace
    outside: Namespace
    pods: Mapping[str, Namespace]


@contextmanager
def open_network(addresses: Mapping[str, str] = POD_ADDRESSES) -> Iterator[Network]:
    """Make the network, with a pod at each of the *addresses*, all of them redirected, and delete
    it at the end.

    What earlier processes left behind because they were killed is swept first.
    """
    sweep()
    with ExitStack() as stack:

        def namespace(role: str) -> Namespace:
            created = Namespace(unique_name(role))
            stack.callback(created.delete)
            return created

        control = namespace("control")
        control.ip("link", "add", "pods", "type", "bridge")
        control.ip("address", "add", f"{ROUTER}/24", "dev", "pods")
        control.ip("link", "set", "pods", "up")
        control.call(_forward)

        pods = {}
        for name, address in addresses.items():
            pod = pods[name] = namespace(name)
            _cable(control, name, pod)
            control.ip("link", "set", name, "master", "pods")
            pod.ip("address", "add", f"{address}/24", "dev", "eth0")
            # Without a default route connect() fails before the redirect sees anything.
            pod.ip("route", "add", "default", "via", ROUTER)
            pod.resolve_by(NAME_SERVER)
            redirect(pod)
            pod.call(_forget_soon)

        outside = namespace("outside")
        _cable(control, "outside", outside)
        control.ip("address", "add", f"{OUTSIDE_ROUTER}/24", "dev", "outside")
        for address in OUTSIDE:
            outside.ip("address", "add", f"{address}/24", "dev", "eth0")
        outside.ip("route", "add", "default", "via", OUTSIDE_ROUTER)
        yield Network(control=control, outside=outside, pods=pods)


def _cable(router: Namespace, port: str, host: Namespace) -> None:
    """Connect the router's interface *port* to the host's `eth0`."""
    router.ip(*("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name))
    router.ip("link", "set", port, "up")
    host.ip("link", "set", "eth0", "up")


def _forget_soon() -> None:
    """A connection of a sidecar that is never answered is remembered for 1 s, not for 120: until
    then one of the application from the same port to the same address is refused.
    """
    timeout = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_syn_sent"
    Path(timeout).write_text("1")


def _forward() -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
