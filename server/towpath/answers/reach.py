"""Reach: which services and which places outside a service account may reach, for a picture of the
mesh; `explain` says of one request whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from towpath.answers.access_change import accounts_of
from towpath.answers.access_inside import inside
from towpath.model.egress_plan import AddressRange
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.planning import outbound
from towpath.planning.inbound import lets_in, selecting

ANY_ADDRESS = "*"
"""A place outside that is any address on a port."""


@dataclass(frozen=True, slots=True, order=True)
class ReachedPlace:
    """A service (`<namespace>/<name>`), a host name or pattern, a CIDR block, or `*` for any
    address; its ports; and the policies (`<namespace>/<name>`) that open it, none where nothing but
    a switch does.
    """

    name: str
    ports: tuple[int, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountReach:
    """What one account may reach: `services` of the mesh (none where every one is open to
    everybody) and places `outside` that policies open. `pods` run as it, behind the services that
    it `offers`.
    """

    account: Account
    services: tuple[ReachedPlace, ...]
    outside: tuple[ReachedPlace, ...]
    pods: int
    offers: tuple[str, ...]


def accounts(mesh: Mesh) -> tuple[Account, ...]:
    """Every service account of the mesh, sorted."""
    return tuple(sorted(accounts_of(mesh)))


def reach(mesh: Mesh, account: Account) -> AccountReach:
    """What the account may reach, by the plans that its sidecars are sent."""
    pods = mesh.pods_of(account)
    offers = {f"{one.namespace}/{one.name}" for pod in pods for one in mesh.query(selecting, pod)}
    services = () if lets_in(mesh) else tuple(_places(_services(mesh, account)))
    return AccountReach(
        account,
        services,
        tuple(_places(_outside(mesh, account))),
        len(pods),
        tuple(sorted(offers)),
    )


Opening = tuple[str, int, tuple[str, ...]]
"""A name, a port, and the policies that open it."""


def _places(openings: Iterable[Opening]) -> Iterator[ReachedPlace]:
    """The same, with all ports of one name together."""
    ports, policies = dict[str, set[int]](), dict[str, set[str]]()
    for name, port, by in openings:
        ports.setdefault(name, set()).add(port)
        policies.setdefault(name, set()).update(by)
    for name in sorted(ports):
        yield ReachedPlace(name, tuple(sorted(ports[name])), tuple(sorted(policies[name])))


def _services(mesh: Mesh, account: Account) -> Iterator[Opening]:
    for one in mesh.query(inside, account):
        yield one.service, one.port, one.access.policies


def _outside(mesh: Mesh, account: Account) -> Iterator[Opening]:
    for port in mesh.query(outbound, account).egress.ports:
        for addresses in port.address_ranges:
            yield from ((name, port.number, by) for name, by in _opened(addresses))


def _opened(addresses: AddressRange) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names that policies open at these addresses, and the addresses if it is these alone."""
    for host in addresses.hosts or ():
        allowed = {policy for route in host.routes for policy in route.policies}
        if allowed:
            yield host.host, tuple(sorted(allowed))
    for name in addresses.server_names:
        if name.target is not None:
            yield name.host, name.policies
    anything = {*addresses.bytes_policies, *addresses.tls_policies}
    if anything:
        for block in addresses.ranges or (ANY_ADDRESS,):
            yield block, tuple(sorted(anything))
