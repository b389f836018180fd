"""A mesh of any size: services of one TCP port, and pods, each of an account of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bench.mesh.sidecar import Login
from support.objects import endpoint_slice, mesh_config, namespace, pod, port, service
from towpath.model.names import Protocol, SidecarId
from towpath.model.workloads import EndpointSlice, Pod, Service
from towpath.store import Store

SPACES = 20
APP_PORT = 8080
_FIRST = "space-0/svc-0|80"


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    services: int
    pods: int
    sidecars: int
    names: int = 0
    """How many services' endpoints each sidecar asks for; 0: of all."""


@dataclass(frozen=True)
class Change:
    """One change, made to and fro, and how many responses come of it at least."""

    name: str
    make: Callable[[], None]
    responses: int


@dataclass
class Picture:
    """The objects of one mesh, and the changes that are measured."""

    size: Size
    store: Store
    _done: dict[str, int] = field(default_factory=dict)

    def fill(self) -> None:
        """Put everything into the store."""
        for number in range(SPACES):
            self.store.apply(namespace(space(number)))
        self.store.apply(mesh_config(policies=True))
        addresses: dict[int, list[str]] = {}
        for number in range(self.size.pods):
            one = self._pod(number)
            self.store.apply(one)
            addresses.setdefault(number % self.size.services, []).append(one.addresses[0])
        for number in range(self.size.services):
            self.store.apply(self._service(number))
            self.store.apply(self._slice(number, addresses.get(number, [])))

    def sidecar(self, number: int) -> SidecarId:
        """That of the pod of this number."""
        return SidecarId(f"pod-{number}", space(number % self.size.services))

    @property
    def routes(self) -> Callable[[frozenset[str]], frozenset[str]] | None:
        """The route configurations that a sidecar with given clusters asks for; None: for none."""
        return None

    def login(self, _number: int) -> Login | None:
        """How that sidecar is authenticated."""
        return None

    def service_names(self, number: int) -> list[str]:
        """Of which services that sidecar wants the endpoints: names of clusters."""
        count = self.size.names or self.size.services
        first = number * count
        of = ((first + n) % self.size.services for n in range(count))
        return [f"{space(one)}/svc-{one}|80" for one in of]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is measured."""
        every = range(self.size.sidecars)
        concerned = sum(_FIRST in self.service_names(number) for number in every)
        return (
            Change("endpoint", self.endpoint, concerned),
            Change("toggle", self.toggle, len(every)),
            Change("Service port", self.service_port, 3 * len(every)),
        )

    def endpoint(self) -> None:
        """One pod of the first service is not ready any more, or is again."""
        own = [self._pod(n).addresses[0] for n in range(0, self.size.pods, self.size.services)]
        self.store.apply(self._slice(0, own[:-1] if self._odd("endpoint") else own))

    def toggle(self) -> None:
        """The switch enableEgress, to and fro."""
        self.store.apply(mesh_config(policies=True, egress=self._odd("toggle")))

    def service_port(self) -> None:
        """The port of one service in the middle, to and fro."""
        one = self._service(self.size.services // 2)
        number = 81 if self._odd("port") else 80
        self.store.apply(replace(one, ports=(port(number, Protocol.TCP, target=APP_PORT),)))

    def _odd(self, change: str) -> bool:
        self._done[change] = self._done.get(change, 0) + 1
        return self._done[change] % 2 == 1

    def _service(self, number: int) -> Service:
        return service(
            f"svc-{number}",
            port(80, Protocol.TCP, target=APP_PORT),
            in_namespace=space(number),
            ips=[f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"],
        )

    def _slice(self, number: int, addresses: list[str]) -> EndpointSlice:
        return endpoint_slice(f"svc-{number}", *addresses, in_namespace=space(number))

    def _pod(self, number: int) -> Pod:
        of = number % self.size.services
        return pod(
            f"pod-{number}",
            in_namespace=space(of),
            account=f"account-{number}",
            app=f"svc-{of}",
            addresses=[f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"],
        )


def space(number: int) -> str:
    return f"space-{number % SPACES}"
