"""Assumptions: what a repository of manifests cannot hold, because the cluster makes it.

Each is told as a Problem of the severity info. All else is judged as a server would judge it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import Egress
from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import MeshScope
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.model.workloads import Namespace, Service
from towpath.sources.files import FilesSource
from towpath.sources.files.source import ORIGIN
from towpath.store import Store

ADDRESSES = ipaddress.ip_network("198.18.0.0/15")
"""Where addresses are made up: of a range that is set aside for tests of networks."""
_ENDPOINTS = (Code.SERVICE_WITHOUT_ENDPOINTS, Code.FOREIGN_ENDPOINT)
"""Faults of a cluster that a repository, which has no pods and few EndpointSlices, may not have."""
_LISTED = 3


class Assumptions:
    """What is filled in beside a folder's objects, in the store that holds them."""

    def __init__(self, scope: MeshScope, source: FilesSource, store: Store) -> None:
        self._scope = scope
        self._source = source
        self._store = store
        self._notes: list[Problem] = []

    def make(self) -> None:
        """Fill in what is missing; once, after the folder was read."""
        self._mesh_config()
        self._pods()
        self._namespaces()
        self._cluster_ips()

    def completed(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What is wrong with the folder, without what cannot be judged; and what was assumed."""
        unknown: set[str] = set()
        for problem in problems:
            if problem.code in _ENDPOINTS:
                unknown.add(str(problem.object))
            else:
                yield problem
        if unknown:
            yield self._note(
                Code.ASSUMED_ENDPOINTS,
                f"the endpoints of {_some(unknown)} are not in these manifests: taken for good",
            )
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

    def _note(self, code: Code, text: str) -> Problem:
        return self._source.problem(code, text)


def _some(names: Collection[str]) -> str:
    """The first names, and how many there are more."""
    first = ", ".join(sorted(names)[:_LISTED])
    more = len(names) - _LISTED
    return f"{first} and {more} more" if more > 0 else first
