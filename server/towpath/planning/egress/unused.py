"""What policies could refer to, and none does: it has no effect, though nothing in it is wrong."""

from __future__ import annotations

from typing import cast

from towpath.model.codes import Code
from towpath.model.egress import HTTPRouteGroup, UpstreamTrafficSetting
from towpath.model.mesh import Mesh
from towpath.model.names import Kind
from towpath.model.problem import Problem
from towpath.planning.inmesh.settings import limits_something, service_of

_SETTING = (
    "no Egress refers to it, and its host is not a Service of its namespace in the mesh: no effect"
)
_GROUP = "no Egress, TrafficSplit or TrafficTarget refers to it: no effect"


def unused(mesh: Mesh) -> tuple[Problem, ...]:
    """A Problem for each setting and each route group that no policy beside it refers to."""
    settings = mesh.group(Kind.UPSTREAM_TRAFFIC_SETTING, "all")
    groups = mesh.group(Kind.HTTP_ROUTE_GROUP, "all")
    return (
        *(
            Problem(setting.ref, "", Code.UNUSED_OBJECT, _SETTING)
            for setting in cast("tuple[UpstreamTrafficSetting, ...]", settings)
            if not mesh.group(Kind.EGRESS, ("setting", setting.namespace, setting.name))
            and service_of(mesh, setting) is None
            # Of one that was meant to limit something more is said, beside the other settings.
            and not limits_something(setting)
        ),
        *(
            Problem(group.ref, "", Code.UNUSED_OBJECT, _GROUP)
            for group in cast("tuple[HTTPRouteGroup, ...]", groups)
            if not any(
                mesh.group(kind, ("group", group.namespace, group.name))
                for kind in (Kind.EGRESS, Kind.TRAFFIC_SPLIT)
            )
            and not mesh.group(
                Kind.TRAFFIC_TARGET, ("rule", group.kind, group.namespace, group.name)
            )
        ),
    )
