"""Whose an address is: what a slice says of its endpoints, and what two services claim.

Whoever may write EndpointSlices in one namespace must not lead others out of the mesh, or say what
another's address and port speak. So an endpoint counts if it is a pod of the slice's namespace.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from towpath.model.codes import Code
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, ObjectRef
from towpath.model.plan import Destination
from towpath.model.problem import Problem
from towpath.model.workloads import EndpointSlice

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Present:
    """Of a slice's addresses those that count, and those that do not."""

    ready: tuple[str, ...]
    ending: tuple[str, ...]
    strangers: tuple[str, ...]


def present(mesh: Mesh, slice_: EndpointSlice) -> Present:
    """A question for each slice, so that a pod's change concerns the slices that have it alone."""
    service = mesh.service(slice_.namespace, slice_.service)
    manual = service is not None and not service.selector and not service.headless
    outside = manual and mesh.outside_endpoints
    strangers = {
        address
        for address in (*slice_.addresses, *slice_.ending)
        if not _counts(mesh, slice_.namespace, address, outside=outside)
    }
    return Present(
        tuple(a for a in slice_.addresses if a not in strangers),
        tuple(a for a in slice_.ending if a not in strangers),
        tuple(sorted(strangers)),
    )


def _counts(mesh: Mesh, namespace: str, address: str, *, outside: bool) -> bool:
    pods = mesh.pods_at(address)
    return any(pod.namespace == namespace for pod in pods) or (outside and not pods)


def strangers(mesh: Mesh, slice_: EndpointSlice) -> tuple[Problem, ...]:
    """What a slice of a monitored namespace says that does not count."""
    addresses = mesh.query(present, slice_).strangers if mesh.monitored(slice_.namespace) else ()
    if not addresses:
        return ()
    more = f" and {len(addresses) - _LISTED} more" if len(addresses) > _LISTED else ""
    what = f"{', '.join(addresses[:_LISTED])}{more}"
    text = f"no Pod of namespace {slice_.namespace} has the address {what}: not used"
    return (Problem(slice_.ref, "endpoints", Code.FOREIGN_ENDPOINT, text),)


class Claims:
    """Who owns each address and port; what cannot be told is nobody's, whoever comes first.

    A cluster gives each Service addresses of its own. So of two that have the same one is wrong,
    and so is an endpoint with a Service's address. One endpoint may be that of several services.
    """

    def __init__(self, destinations: Iterable[Destination]) -> None:
        self._lost: dict[Destination, set[str]] = {}
        self._problems: set[Problem] = set()
        services: dict[str, list[Destination]] = {}
        endpoints: dict[tuple[str, int], list[Destination]] = {}
        for one in destinations:
            for address in one.addresses:
                if one.direct:
                    endpoints.setdefault((address, one.port), []).append(one)
                else:
                    services.setdefault(address, []).append(one)
        for address, claimants in services.items():
            if len(names := _names(claimants)) > 1:
                for one in claimants:
                    self._refuse(one, address, address, names, "nobody reaches it")
        for (address, port), claimants in endpoints.items():
            self._share(address, port, claimants, services.get(address, []))

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._problems))

    def without_lost(self, one: Destination) -> Destination:
        """The destination with the addresses that are its own; with none at all, it is none."""
        lost = self._lost.get(one) if self._lost else None
        if lost is None:
            return one
        return replace(one, addresses=tuple(a for a in one.addresses if a not in lost))

    def _share(
        self, address: str, port: int, claimants: list[Destination], services: list[Destination]
    ) -> None:
        if services:
            names = _names(services)
            for one in claimants:
                self._refuse(one, address, address, names, "its endpoint is not used")
            return
        first, *others = claimants
        apart = len({one.namespace for one in claimants}) > 1
        if apart and len({one.protocol for one in claimants}) > 1:
            names, effect = _names(claimants), "they differ in protocol, so nobody reaches it"
            for one in claimants:
                self._refuse(one, address, f"{address}:{port}", names, effect)
            return
        for one in others:
            # Whichever it is, the connection goes to the address that was dialled.
            if one is not first:
                self._lost.setdefault(one, set()).add(address)

    def _refuse(
        self, one: Destination, address: str, what: str, names: list[str], effect: str
    ) -> None:
        self._lost.setdefault(one, set()).add(address)
        others = [name for name in names if name != _service(one)][:_LISTED]
        message = f"{what} is claimed by Service {', '.join(others)} too: {effect}"
        ref = ObjectRef(Kind.SERVICE, one.namespace, one.service)
        self._problems.add(Problem(ref, "", Code.CONTESTED_ADDRESS, message))


def _names(claimants: Iterable[Destination]) -> list[str]:
    """The first of the services by name, one more than a message lists."""
    return heapq.nsmallest(_LISTED + 1, {_service(one) for one in claimants})


def _service(one: Destination) -> str:
    return f"{one.namespace}/{one.service}"
