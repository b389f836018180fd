"""UpstreamTrafficSettings of services: how many connections their clients may open, and how often
they may be called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import NOTHING, ConnectionSettings, UpstreamTrafficSetting
from towpath.model.limits import RateLimits
from towpath.model.mesh import Mesh
from towpath.model.names import Kind, Protocol
from towpath.model.nearest import nearest
from towpath.model.problem import Problem
from towpath.model.workloads import Service
from towpath.planning.egress.targets import preferred


def setting_of(mesh: Mesh, namespace: str, service: str) -> UpstreamTrafficSetting | None:
    """The setting of a service that holds, the oldest; None without one."""
    return preferred(_settings_of(mesh, namespace, service))


def connection_settings(mesh: Mesh, namespace: str, service: str) -> ConnectionSettings:
    """The limits on connections to a service, for each client; nothing if they cannot be read."""
    setting = mesh.query(setting_of, namespace, service)
    if setting is None:
        return ConnectionSettings()
    return NOTHING if setting.closed else setting.settings


def limiting(
    mesh: Mesh, namespace: str, services: Iterable[str]
) -> tuple[UpstreamTrafficSetting, ...]:
    """The settings of services that lead to one port of a pod which limit what comes in there, in
    the order of their services. The first of them holds, unless one is closed: then so is the port.
    """
    settings = (mesh.query(setting_of, namespace, name) for name in services)
    return tuple(one for one in settings if one and (one.closed or one.limits != RateLimits()))


def setting_problems(mesh: Mesh) -> Iterator[Problem]:
    """What keeps a setting, or a part of it, from having effect on the service that is its host."""
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    for setting in cast("tuple[UpstreamTrafficSetting, ...]", settings):
        yield from mesh.query(_of_setting, setting)


def holds(mesh: Mesh, setting: UpstreamTrafficSetting) -> bool:
    """True if the service that is its host is limited by this setting."""
    service = service_of(mesh, setting)
    return (
        service is not None
        and not setting.closed
        and mesh.query(setting_of, service.namespace, service.name) == setting
    )


def service_of(mesh: Mesh, setting: UpstreamTrafficSetting) -> Service | None:
    """The service in the mesh that is the setting's host."""
    if not setting.service or not mesh.monitored(setting.namespace):
        return None
    return mesh.service(setting.namespace, setting.service)


def limits_something(setting: UpstreamTrafficSetting) -> bool:
    """True if its author wants something to be limited, were it that it cannot be read."""
    nothing = setting.settings == ConnectionSettings() and setting.limits == RateLimits()
    return setting.closed or not nothing


def _settings_of(mesh: Mesh, namespace: str, service: str) -> tuple[UpstreamTrafficSetting, ...]:
    group = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, ("service", namespace, service))
    return cast("tuple[UpstreamTrafficSetting, ...]", group)


def _of_setting(mesh: Mesh, setting: UpstreamTrafficSetting) -> tuple[Problem, ...]:
    service, limits = service_of(mesh, setting), setting.limits
    if service is None:
        return _without_service(mesh, setting)
    holder = mesh.query(setting_of, service.namespace, service.name)
    if holder is not None and holder != setting:
        text = (
            f"UpstreamTrafficSetting {holder.label}, which is older, holds for {service.label}: "
            "this one does not"
        )
        return (Problem(setting.ref, "spec.host", Code.CONFLICTING_SETTING, text),)
    if setting.closed:
        text = (
            f"a limit cannot be read: nobody may call Service {service.label}, until it can be "
            "read or the setting is gone"
        )
        return (Problem(setting.ref, "spec", Code.UNREADABLE_SETTING, text),)
    wants_http = limits.requests is not None or limits.routes
    if wants_http and not any(port.protocol is Protocol.HTTP for port in service.ports):
        text = f"no port of {service.label} speaks HTTP: no request is seen, and none is limited"
        return (Problem(setting.ref, "spec.rateLimit", Code.LIMITS_WITHOUT_REQUESTS, text),)
    return ()


def _without_service(mesh: Mesh, setting: UpstreamTrafficSetting) -> tuple[Problem, ...]:
    """What a setting would limit that is of no Service: for an Egress it limits connections."""
    users = mesh.group(Kind.EGRESS, ("setting", setting.namespace, setting.name))
    limits, of_no_service = setting.limits, "its host is not a Service of its namespace in the mesh"
    if not users and limits_something(setting):
        text = (
            f"{of_no_service}, and no Egress refers to it: it limits nothing{_hint(mesh, setting)}"
        )
        return (Problem(setting.ref, "spec.host", Code.LIMITS_WITHOUT_SERVICE, text),)
    if users and limits != RateLimits():
        text = f"{of_no_service}: its rate limits have no effect{_hint(mesh, setting)}"
        field = "spec.rateLimit" if limits.connections or limits.requests else "spec.httpRoutes"
        return (Problem(setting.ref, field, Code.LIMITS_WITHOUT_SERVICE, text),)
    return ()


def _hint(mesh: Mesh, setting: UpstreamTrafficSetting) -> str:
    """The Service that its author may mean, by the first part of the host."""
    names = mesh.query(_names_in, setting.namespace)
    wanted = setting.host.partition(".")[0].lower()
    near = mesh.work(len(names), nearest, wanted, names)
    return f"; did you mean {near}?" if near else ""


def _names_in(mesh: Mesh, namespace: str) -> tuple[str, ...]:
    """The names of a namespace's Services in the mesh."""
    services = mesh.services(namespace) if mesh.monitored(namespace) else ()
    return tuple(service.name for service in services)
