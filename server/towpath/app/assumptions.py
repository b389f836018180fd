"""Assumptions: what a repository of manifests cannot hold, because the cluster makes it.

Each is told as a Problem of the severity info. All else is judged as a server would judge it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import Egress
from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import MeshScope
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.model.workloads import EndpointSlice, Namespace, Pod, Service
from towpath.sources.files import FilesSource
from towpath.sources.files.source import ORIGIN
from towpath.store import Store

ADDRESSES = ipaddress.ip_network("198.18.0.0/16")
"""Where addresses are made up: of a range that is set aside for tests of networks."""
POD_ADDRESSES = ipaddress.ip_network("198.19.0.0/16")
"""The part of it from which pods have theirs."""
_ENDPOINTS = (Code.SERVICE_WITHOUT_ENDPOINTS, Code.FOREIGN_ENDPOINT)
"""Faults of a cluster that a repository, which has no pods and few EndpointSlices, may not have."""
_LISTED = 3
_CALLER = "serviceaccount-"
"""What the name of a pod begins with that is made up for its service account."""


class Assumptions:
    """What is filled in beside a folder's objects, in the store that holds them."""

    def __init__(self, scope: MeshScope, source: FilesSource, store: Store) -> None:
        self._scope = scope
        self._source = source
        self._store = store
        self._notes: list[Problem] = []
        self._with_endpoints: set[str] = set()

    def make(self) -> None:
        """Fill in what is missing; once, after the folder was read."""
        self._mesh_config()
        self._pods()
        self._namespaces()
        self._callers()
        self._cluster_ips()
        self._pod_addresses()
        self._endpoints()

    def notes(self) -> Iterator[Problem]:
        """What was assumed."""
        if self._with_endpoints:
            yield self._of_endpoints(self._with_endpoints)
        yield from self._notes

    def completed(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What is wrong with the folder, without what cannot be judged; and what was assumed."""
        unknown = set(self._with_endpoints)
        for problem in problems:
            if problem.code in _ENDPOINTS:
                unknown.add(str(problem.object))
            else:
                yield problem
        if unknown:
            yield self._of_endpoints(unknown)
        yield from self._notes

    def _mesh_config(self) -> None:
        if self._store.held(Kind.MESH_CONFIG):
            return
        namespace = self._scope.osm_namespace
        # As the first start of a server makes it, but that policies have effect.
        self._store.apply(MeshConfig(namespace, enable_egress_policy=True, permissive=True))
        text = "no MeshConfig: permissive mode and policies are taken for on, passthrough for off"
        self._notes.append(self._note(Code.ASSUMED_MESH_CONFIG, text))

    def _pods(self) -> None:
        names = {(pod.namespace, pod.name) for pod in self._store.held(Kind.POD)}
        sources = dict(self._source.contents.sources)
        additions: set[str] = set()
        for pod, place in self._source.contents.pods.items():
            if (pod.namespace, pod.name) in names:
                continue
            self._store.apply(pod)
            sources[ObjectRef(Kind.POD, pod.namespace, pod.name)] = place
            additions.add(f"{pod.namespace}/{pod.name}")
        self._store.locate(sources)
        if additions:
            text = f"a Pod of each workload is assumed: {_some(additions)}"
            self._notes.append(self._note(Code.ASSUMED_PODS, text))

    def _namespaces(self) -> None:
        present = {one.name for one in self._store.held(Kind.NAMESPACE)}
        missing = self._mentioned() - present - {"", self._scope.osm_namespace}
        for name in missing:
            self._store.apply(Namespace(name, self._scope.mesh_name))
        if missing:
            text = (
                f"Namespace {_some(missing)} is not in these manifests: taken for monitored by "
                f"the mesh {self._scope.mesh_name}"
            )
            self._notes.append(self._note(Code.ASSUMED_NAMESPACE, text))

    def _mentioned(self) -> set[str]:
        """The namespaces of all objects, and of the service accounts that policies name."""
        namespaces = {one.namespace for kind in Kind for one in self._store.held(kind)}
        for policy in cast("tuple[Egress, ...]", self._store.held(Kind.EGRESS)):
            namespaces |= {account.namespace for account in policy.sources}
        for target in cast("tuple[TrafficTarget, ...]", self._store.held(Kind.TRAFFIC_TARGET)):
            namespaces |= {account.namespace for account in target.sources}
        return namespaces

    def _callers(self) -> None:
        """Who is let in is told by pods, which another team's repository may have."""
        targets = cast("tuple[TrafficTarget, ...]", self._store.held(Kind.TRAFFIC_TARGET))
        pods = cast("tuple[Pod, ...]", self._store.held(Kind.POD))
        sources = {account for target in targets for account in target.sources}
        missing = sources - {pod.account for pod in pods}
        for account in missing:
            name = f"{_CALLER}{account.name}"
            self._store.apply(Pod(account.namespace, name, account.name, labels=(), ports=()))
        if missing:
            text = f"a Pod of each source of a TrafficTarget is assumed: {_some(map(str, missing))}"
            self._notes.append(self._note(Code.ASSUMED_PODS, text))

    def _cluster_ips(self) -> None:
        services = cast("tuple[Service, ...]", self._store.held(Kind.SERVICE))
        problems = self._source.contents.problems
        without = {one.object for one in problems if one.code is Code.MISSING_CLUSTER_IP}
        taken = {address for service in services for address in service.cluster_ips}
        free = (str(address) for address in ADDRESSES.hosts() if str(address) not in taken)
        additions: set[str] = set()
        for service in services:
            if service.ref in without and (address := next(free, None)) is not None:
                self._store.apply(replace(service, cluster_ips=(address,)))
                without.remove(service.ref)
                additions.add(f"{service.namespace}/{service.name}")
        if additions:
            left = (p for p in problems if p.code is not Code.MISSING_CLUSTER_IP)
            kept = (
                p for p in problems if p.code is Code.MISSING_CLUSTER_IP and p.object in without
            )
            self._store.report(ORIGIN, (*left, *kept))
            text = f"Service {_some(additions)} has no address: one of {ADDRESSES} is assumed"
            self._notes.append(self._note(Code.ASSUMED_CLUSTER_IP, text))

    def _pod_addresses(self) -> None:
        """A pod has one while it runs."""
        pods = cast("tuple[Pod, ...]", self._store.held(Kind.POD))
        taken = {address for pod in pods for address in pod.addresses}
        free = (str(address) for address in POD_ADDRESSES.hosts() if str(address) not in taken)
        without = sorted((pod for pod in pods if not pod.addresses), key=lambda one: one.sidecar)
        for pod, address in zip(without, free, strict=False):
            self._store.apply(replace(pod, addresses=(address,)))

    def _endpoints(self) -> None:
        """Of a Service without any: the pods that it selects, which are good."""
        slices = cast("tuple[EndpointSlice, ...]", self._store.held(Kind.ENDPOINT_SLICE))
        present = {(one.namespace, one.service) for one in slices}
        by_namespace: dict[str, list[Pod]] = {}
        for pod in cast("tuple[Pod, ...]", self._store.held(Kind.POD)):
            by_namespace.setdefault(pod.namespace, []).append(pod)
        for service in cast("tuple[Service, ...]", self._store.held(Kind.SERVICE)):
            if not service.selector or (service.namespace, service.name) in present:
                continue
            for one in _slices(service, by_namespace.get(service.namespace, ())):
                self._store.apply(one)
                self._with_endpoints.add(str(service.ref))

    def _of_endpoints(self, services: Collection[str]) -> Problem:
        return self._note(
            Code.ASSUMED_ENDPOINTS,
            f"the endpoints of {_some(services)} are not in these manifests: taken for good",
        )

    def _note(self, code: Code, text: str) -> Problem:
        return self._source.problem(code, text)


def _slices(service: Service, pods: Iterable[Pod]) -> Iterator[EndpointSlice]:
    """The pods that the Service selects, those together of which a port has the same number."""
    addresses: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for pod in pods:
        if {*service.selector} <= {*pod.labels}:
            numbers = dict(pod.ports)
            targets = ((port.name, _number(port.target_port, numbers)) for port in service.ports)
            ports = tuple((name, number) for name, number in targets if number is not None)
            addresses.setdefault(ports, []).extend(pod.addresses)
    for number, (ports, of_ports) in enumerate(sorted(addresses.items())):
        name = f"{service.name}-{number}"
        yield EndpointSlice(service.namespace, name, service.name, tuple(of_ports), ports)


def _number(target: int | str, numbers: Mapping[str, int]) -> int | None:
    return target if isinstance(target, int) else numbers.get(target)


def _some(some: Iterable[str]) -> str:
    """The first names, and how many there are more."""
    names = sorted(some)
    first = ", ".join(names[:_LISTED])
    more = len(names) - _LISTED
    return f"{first} and {more} more" if more > 0 else first
