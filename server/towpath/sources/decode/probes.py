"""The kubelet's probes and hooks of a pod, as the requests that they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from towpath.model.workloads import Probe
from towpath.sources.decode import structs
from towpath.sources.decode.kubelet import called_path, called_port

GRPC_HEALTH = "/grpc.health.v1.Health/Check"


def probes(containers: Iterable[structs.Container], ports: Mapping[str, int]) -> tuple[Probe, ...]:
    """Each probe and hook that calls a port of the pod, once, sorted; *ports*: the named ones."""
    return tuple(sorted({p for one in containers for p in _of_container(one, ports)}))


def _of_container(container: structs.Container, ports: Mapping[str, int]) -> Iterator[Probe]:
    own = {port.name or "": port.container_port or 0 for port in container.ports or ()}
    hooks = container.lifecycle or structs.Lifecycle()
    for seen in (
        container.liveness_probe,
        container.readiness_probe,
        container.startup_probe,
        hooks.post_start,
        hooks.pre_stop,
    ):
        probe = None if seen is None else _probe(seen, {**ports, **own})
        if probe is not None:
            yield probe


def _probe(seen: structs.Probe, ports: Mapping[str, int]) -> Probe | None:
    """None for one that calls no port of this pod: a command, or another host."""
    http, tcp, grpc = seen.http_get, seen.tcp_socket, seen.grpc
    if http is not None:
        number = called_port(http.port, ports)
        if number is None or http.host:
            return None
        path, _ = called_path(http.path)
        return Probe(number, "GET", path, tls=(http.scheme or "").upper() == "HTTPS")
    if grpc is not None:
        number = called_port(grpc.port, ports)
        return None if number is None else Probe(number, "POST", GRPC_HEALTH)
    if tcp is not None:
        number = called_port(tcp.port, ports)
        return None if number is None or tcp.host else Probe(number)
    return None
