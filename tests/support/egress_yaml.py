"""Egress manifests as people write them, through the whole of the product: YAML to resources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from support.decoded import chains, cluster, listener, routes
from support.objects import mesh_config, mesh_of, namespace, pod
from towpath.hub.compose import snapshot
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.plan import Outbound
from towpath.model.problem import Problem
from towpath.model.types import CLUSTER, LISTENER, ROUTES
from towpath.planning import outbound, problems
from towpath.sources.decode import decode

GROUP = "specs.smi-spec.io/v1alpha4"
POLICY = "policy.openservicemesh.io/v1alpha1"
ACCOUNT = Account("test", "sa-1")


def egress_object(name: str = "policy", /, **spec: Any) -> dict[str, Any]:
    """An Egress of namespace `test` that speaks for test/sa-1, unless told otherwise."""
    space = spec.pop("namespace", "test")
    source = {"kind": "ServiceAccount", "name": "sa-1", "namespace": "test"}
    metadata = {"name": name, "namespace": space}
    return {
        "apiVersion": POLICY,
        "kind": "Egress",
        "metadata": metadata,
        "spec": {"sources": [source], **spec},
    }


def group_object(name: str, *matches: tuple[str, Iterable[str]]) -> dict[str, Any]:
    entries = [
        {"name": f"m{n}", "pathRegex": path, "methods": list(methods)}
        for n, (path, methods) in enumerate(matches)
    ]
    metadata = {"name": name, "namespace": "test"}
    return {
        "apiVersion": GROUP,
        "kind": "HTTPRouteGroup",
        "metadata": metadata,
        "spec": {"matches": entries},
    }


def setting_object(name: str = "limits", **tcp: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "test"}
    spec = {"host": "x", "connectionSettings": {"tcp": tcp}}
    return {
        "apiVersion": POLICY,
        "kind": "UpstreamTrafficSetting",
        "metadata": metadata,
        "spec": spec,
    }


def port(number: int, protocol: str) -> dict[str, Any]:
    return {"number": number, "protocol": protocol}


def group_match(name: str) -> dict[str, Any]:
    return {"apiGroup": GROUP, "kind": "HTTPRouteGroup", "name": name}


def setting_match(name: str = "limits") -> dict[str, Any]:
    return {"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": name}


@dataclass(frozen=True)
class Result:
    """What became of the manifests, for the sidecar of test/sa-1."""

    mesh: Mesh
    decoding: tuple[Problem, ...]

    @property
    def plan(self) -> Outbound:
        return outbound(self.mesh, ACCOUNT)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(sorted({*self.decoding, *problems(self.mesh)}))

    @property
    def listener(self) -> Any:
        return listener(self._resources(LISTENER)["outbound-listener"])

    @property
    def chains(self) -> dict[str, Any]:
        """The egress chains by name."""
        by_name = chains(self.listener) if "outbound-listener" in self._resources(LISTENER) else {}
        return {name: chain for name, chain in by_name.items() if name.startswith("egress-")}

    @property
    def routes(self) -> dict[str, Any]:
        return {name: routes(resource) for name, resource in self._resources(ROUTES).items()}

    @property
    def clusters(self) -> dict[str, Any]:
        """The clusters that policies lead to, by name."""
        common = {"passthrough-outbound", "sidecar-admin"}
        resources = self._resources(CLUSTER)
        return {name: cluster(resources[name]) for name in sorted(resources.keys() - common)}

    def _resources(self, type_url: str) -> Any:
        whole = snapshot(self.mesh, ClientKind.ENVOY, SidecarId("pod-1", "test"))
        assert whole is not None
        return whole.of(type_url)


def result_of(*objects: dict[str, Any], passthrough: bool = False) -> Result:
    """Decode, plan and encode; policies are on, and there is nothing else in the mesh."""
    records = [decode(raw, "policy.yaml:1") for raw in objects]
    mesh = mesh_of(
        namespace("test"),
        namespace("other"),
        mesh_config(policies=True, egress=passthrough),
        pod("pod-1", in_namespace="test", account="sa-1"),
        *(one.value for one in records if one.value is not None),
    )
    return Result(mesh, tuple(problem for one in records for problem in one.problems))
