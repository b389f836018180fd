"""Builders of model values: what is not said is a small, working mesh named `osm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from towpath.model.egress import (
    ConnectionSettings,
    Egress,
    HTTPRouteGroup,
    RequestMatch,
    UpstreamTrafficSetting,
)
from towpath.model.ingress import Backend, IngressBackend
from towpath.model.inmesh import RouteReference, TCPRoute, TrafficSplit, TrafficTarget
from towpath.model.limits import RateLimits
from towpath.model.mesh import Mesh, Object
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Account, Kind, Protocol
from towpath.model.retries import Retry, RetryPolicy
from towpath.model.workloads import (
    EndpointSlice,
    Labels,
    Namespace,
    Pod,
    Service,
    ServiceAccount,
    ServicePort,
)
from towpath.settings import MeshSettings
from towpath.store import Store

SYSTEM = "osm-system"


def namespace(name: str = "shop", *, mesh: str | None = "osm") -> Namespace:
    return Namespace(name=name, mesh=mesh)


def mesh_config(
    *,
    permissive: bool = True,
    egress: bool = False,
    policies: bool = False,
    retries: bool = False,
    ingress: bool = False,
    in_namespace: str = SYSTEM,
) -> MeshConfig:
    return MeshConfig(
        namespace=in_namespace,
        permissive=permissive,
        enable_egress=egress,
        enable_egress_policy=policies,
        enable_retry_policy=retries,
        enable_ingress_backend_policy=ingress,
    )


def port(
    number: int = 80,
    protocol: Protocol = Protocol.HTTP,
    *,
    name: str = "",
    target: int | str = 8080,
) -> ServicePort:
    return ServicePort(name=name, port=number, target_port=target, protocol=protocol)


def service(
    name: str = "web",
    *ports: ServicePort,
    in_namespace: str = "shop",
    ips: Sequence[str] = ("10.96.0.1",),
    selector: Mapping[str, str] | None = None,
) -> Service:
    """A service with a ClusterIP; it selects `app: <name>` unless told otherwise."""
    return Service(
        namespace=in_namespace,
        name=name,
        cluster_ips=tuple(ips),
        headless=False,
        ports=ports or (port(),),
        selector=labels({"app": name} if selector is None else selector),
    )


def headless(name: str = "db", *ports: ServicePort, in_namespace: str = "shop") -> Service:
    """A service without an address of its own."""
    return Service(
        namespace=in_namespace,
        name=name,
        cluster_ips=(),
        headless=True,
        ports=ports or (port(),),
        selector=labels({"app": name}),
    )


def endpoint_slice(
    of: str = "web",
    *addresses: str,
    in_namespace: str = "shop",
    name: str = "",
    ports: Mapping[str, int] | None = None,
    ending: Sequence[str] = (),
) -> EndpointSlice:
    """A slice of service *of*; its unnamed port is 8080 unless told otherwise."""
    return EndpointSlice(
        namespace=in_namespace,
        name=name or f"{of}-1",
        service=of,
        addresses=addresses,
        ports=tuple(sorted(({"": 8080} if ports is None else ports).items())),
        ending=tuple(ending),
    )


def pod(
    name: str = "web-1",
    *,
    in_namespace: str = "shop",
    account: str = "default",
    app: str = "web",
    more_labels: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    addresses: Sequence[str] = (),
) -> Pod:
    return Pod(
        namespace=in_namespace,
        name=name,
        service_account=account,
        labels=labels({"app": app, **(more_labels or {})}),
        ports=tuple(sorted((ports or {}).items())),
        addresses=tuple(addresses),
    )


def pods_behind(*objects: Object) -> list[Pod]:
    """A pod at each address of the slices among *objects* that no pod among them has."""
    taken = {address for obj in objects if isinstance(obj, Pod) for address in obj.addresses}
    pods = {
        address: pod(
            f"at-{address.replace('.', '-')}",
            in_namespace=obj.namespace,
            app="behind",
            addresses=[address],
        )
        for obj in objects
        if isinstance(obj, EndpointSlice)
        for address in (*obj.addresses, *obj.ending)
        if address not in taken
    }
    return list(pods.values())


def service_account(name: str = "curl", *, in_namespace: str = "shop") -> ServiceAccount:
    return ServiceAccount(in_namespace, name)


def egress(
    name: str = "out",
    *ports: tuple[int, Protocol],
    in_namespace: str = "shop",
    sources: Sequence[Account] = (Account("shop", "default"),),
    hosts: Sequence[str] | None = ("httpbin.org",),
    ranges: Sequence[str] | None = None,
    route_groups: Sequence[str] | None = None,
    setting: str | None = None,
) -> Egress:
    """A policy of the default service account; plain HTTP to httpbin.org unless told otherwise."""
    return Egress(
        namespace=in_namespace,
        name=name,
        sources=tuple(sources),
        ports=ports or ((80, Protocol.HTTP),),
        hosts=None if hosts is None else tuple(hosts),
        ranges=None if ranges is None else tuple(ranges),
        route_groups=None if route_groups is None else tuple(route_groups),
        setting=setting,
    )


def route_group(
    name: str = "get", *paths: str, in_namespace: str = "shop", methods: Sequence[str] = ()
) -> HTTPRouteGroup:
    return HTTPRouteGroup(
        namespace=in_namespace,
        name=name,
        matches=tuple(RequestMatch(path, tuple(methods)) for path in paths or ("/get",)),
    )


def traffic_split(
    name: str = "split",
    *backends: tuple[str, int],
    root: str = "web",
    in_namespace: str = "shop",
    created: str = "",
    route_groups: Sequence[str] | None = None,
    closed: bool = False,
) -> TrafficSplit:
    """All of what is sent to `web`, half and half to `v1` and `v2` unless told otherwise."""
    return TrafficSplit(
        namespace=in_namespace,
        name=name,
        created=created,
        root=root,
        backends=backends or (("v1", 50), ("v2", 50)),
        route_groups=None if route_groups is None else tuple(route_groups),
        closed=closed,
    )


def traffic_target(
    name: str = "may",
    *rules: RouteReference,
    destination: str = "web",
    sources: Sequence[Account] = (Account("shop", "curl"),),
    in_namespace: str = "shop",
    closed: bool = False,
) -> TrafficTarget:
    """`curl` may call the pods of `web` as the group `get` says, unless told otherwise."""
    return TrafficTarget(
        namespace=in_namespace,
        name=name,
        destination=Account(in_namespace, destination),
        sources=tuple(sources),
        rules=rules or (RouteReference(Kind.HTTP_ROUTE_GROUP, "get"),),
        closed=closed,
    )


def tcp_route(name: str = "ports", *ports: int, in_namespace: str = "shop") -> TCPRoute:
    """A route of these ports; of all of them if there are none."""
    return TCPRoute(in_namespace, name, ports or None)


def setting(
    name: str = "limits",
    *,
    in_namespace: str = "shop",
    created: str = "",
    max_connections: int | None = 7,
    service: str = "",
    limits: RateLimits | None = None,
    closed: bool = False,
) -> UpstreamTrafficSetting:
    """For an Egress that refers to it, or for a *service* of its namespace."""
    return UpstreamTrafficSetting(
        in_namespace,
        name,
        created,
        ConnectionSettings(max_connections=max_connections),
        closed=closed,
        service=service,
        limits=limits or RateLimits(),
    )


def retry(
    name: str = "again",
    *destinations: tuple[str, str],
    source: str = "curl",
    in_namespace: str = "shop",
    created: str = "",
    retries: int = 3,
    closed: bool = False,
) -> Retry:
    """`curl` calls `web` again, unless told otherwise."""
    return Retry(
        namespace=in_namespace,
        name=name,
        created=created,
        source=Account(in_namespace, source),
        destinations=destinations or ((in_namespace, "web"),),
        policy=None if closed else RetryPolicy(("5xx",), (), retries),
    )


def ingress_backend(
    name: str = "outside",
    *backends: Backend,
    in_namespace: str = "shop",
    services: Sequence[tuple[str, str]] = (),
    ranges: Sequence[str] = (),
    principals: Sequence[str] = (),
    closed: bool = False,
) -> IngressBackend:
    """Plaintext on port 8080 of the pods of `web`, unless told otherwise."""
    return IngressBackend(
        namespace=in_namespace,
        name=name,
        backends=backends or (Backend("web", 8080),),
        services=tuple(services),
        ranges=tuple(ranges),
        principals=tuple(principals),
        addressed=bool(services or ranges),
        certified=bool(principals),
        closed=closed,
    )


def labels(pairs: Mapping[str, str]) -> Labels:
    return tuple(sorted(pairs.items()))


def new_store() -> Store:
    """An empty store that tells nobody."""
    return Store(MeshSettings().scope, on_change=lambda: None)


def fill(store: Store, *objects: Object) -> None:
    """Apply *objects* in their order, and mark every kind listed."""
    for obj in objects:
        store.apply(obj)
    for kind in Kind:
        store.listed(kind)


def mesh_of(*objects: Object, alone: bool = False) -> Mesh:
    """A view of these objects; unless they are *alone*, with pods at the addresses of slices."""
    store = new_store()
    fill(store, *objects, *(() if alone else pods_behind(*objects)))
    return store.drain()[0]
