"""Listeners for the kubelet's probes, as parts of a bootstrap: they need no control plane.

A probe port is open to whoever reaches the pod, without TLS: so each answers exactly what a probe
asks, and leads to nothing else of the application.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from towpath.encode.envoy.bootstrap_parts import HTTP_OPTIONS, UPSTREAM_TLS, socket_address, typed
from towpath.model.kubelet import HealthProbe, HttpProbe, Probes
from towpath.model.ports import HEALTH_PORT

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_HEALTH = "envoy.extensions.filters.http.health_check.v3.HealthCheck"
_APPLICATION = "127.0.0.1"
_EVERY = "1s"
"""How often the sidecar asks where it answers from what it knows."""

Part = dict[str, Any]


def probe_resources(probes: Probes) -> dict[str, list[Part]]:
    """Static `listeners` and `clusters`; none if nothing is probed."""
    listeners = [
        _listener(port, routes=[_route(probe) for probe in some])
        for port, some in groupby(probes.http, lambda probe: probe.port)
    ]
    if probes.health:
        filters = [_health_filter(probe) for probe in probes.health]
        listeners.append(_listener(HEALTH_PORT, filters=filters))
    targets = sorted({(probe.target_port, probe.tls) for probe in probes.http})
    clusters = [_http_cluster(*target) for target in targets]
    clusters += [_health_cluster(probe) for probe in probes.health]
    return {"listeners": listeners, "clusters": clusters}


def _listener(port: int, *, routes: Sequence[Part] = (), filters: Sequence[Part] = ()) -> Part:
    name = f"probes-{port}"
    hosts = [{"name": name, "domains": ["*"], "routes": list(routes)}]
    router = {"name": "envoy.filters.http.router", "typed_config": typed(_ROUTER)}
    manager = typed(
        _HCM,
        stat_prefix=name,
        codec_type="HTTP1",
        # Whoever connects has to ask soon, and to ask for something.
        request_headers_timeout="5s",
        stream_idle_timeout="10s",
        common_http_protocol_options={"idle_timeout": "30s"},
        generate_request_id=False,
        route_config={"name": name, "virtual_hosts": hosts},
        http_filters=[*filters, router],
    )
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": name,
        "address": socket_address("0.0.0.0", port),
        "filter_chains": [{"filters": [chain]}],
    }


def _route(probe: HttpProbe) -> Part:
    return {
        "match": {"path": probe.path, "headers": _exactly(probe.path)},
        "route": {
            "cluster": _http_cluster_name(probe.target_port, tls=probe.tls),
            "timeout": f"{probe.timeout_s}s",
            "prefix_rewrite": probe.target_path,
        },
        # A redirect leads to a path that is not here; without its target it counts as a success,
        # as one to another host does.
        "response_headers_to_remove": ["location"],
    }


def _exactly(path: str) -> list[Part]:
    """GET of that path, without a query."""
    return [
        {"name": name, "string_match": {"exact": text}}
        for name, text in ((":method", "GET"), (":path", path))
    ]


def _http_cluster_name(port: int, *, tls: bool) -> str:
    return f"probe-https-{port}" if tls else f"probe-http-{port}"


def _http_cluster(port: int, tls: bool) -> Part:  # noqa: FBT001 - of a tuple
    cluster = _cluster(_http_cluster_name(port, tls=tls), port, timeout_s=1)
    # One connection each, as the kubelet has it: an idle one may be gone just when it is used.
    cluster["typed_extension_protocol_options"] = {
        HTTP_OPTIONS: typed(
            HTTP_OPTIONS,
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"max_requests_per_connection": 1},
        )
    }
    if tls:
        # The kubelet does not verify the application's certificate either.
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": typed(UPSTREAM_TLS),
        }
    return cluster


def _health_filter(probe: HealthProbe) -> Part:
    return {
        "name": "envoy.filters.http.health_check",
        "typed_config": typed(
            _HEALTH,
            pass_through_mode=False,
            headers=_exactly(probe.path),
            cluster_min_healthy_percentages={_health_cluster_name(probe): {"value": 100}},
        ),
    }


def _health_cluster_name(probe: HealthProbe) -> str:
    kind = "tcp" if probe.service is None else "grpc"
    service = f"-{probe.service}" if probe.service else ""
    return f"probe-{kind}-{probe.target_port}{service}"


def _health_cluster(probe: HealthProbe) -> Part:
    cluster = _cluster(_health_cluster_name(probe), probe.target_port, timeout_s=probe.timeout_s)
    check: Part = {
        "timeout": f"{probe.timeout_s}s",
        "interval": _EVERY,
        "no_traffic_interval": _EVERY,
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
    }
    if probe.service is None:
        check["tcp_health_check"] = {}
    else:
        check["grpc_health_check"] = {"service_name": probe.service} if probe.service else {}
        cluster["typed_extension_protocol_options"] = {
            HTTP_OPTIONS: typed(HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": {}})
        }
    cluster["health_checks"] = [check]
    return cluster


def _cluster(name: str, port: int, *, timeout_s: int) -> Part:
    endpoint = {"endpoint": {"address": socket_address(_APPLICATION, port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": f"{timeout_s}s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
