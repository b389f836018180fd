"""The HTTP connection manager of inbound ports: it asks who may, says whom it refused and
logs whom it would refuse, and counts what is limited.
"""

from __future__ import annotations

from envoy.config.listener.v3.listener_components_pb2 import Filter

from towpath.encode.envoy.access_log import refusal_log, refusal_report
from towpath.encode.envoy.filters import manager_by_rds, network_filter, say_refusal
from towpath.encode.envoy.limits import no_request_limit
from towpath.encode.envoy.rbac import allow_nothing

REFUSAL = (
    "403: %REQ(:METHOD)% %REQ(:PATH)% from %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% is not "
    "allowed on port %DOWNSTREAM_LOCAL_PORT% (%RESPONSE_CODE_DETAILS%)\n"
)
"""Whoever is refused reads it, so it names no policy."""


def http_inbound(stats: str, route_config: str, *, reports: bool = False) -> Filter:
    """HTTP from other sidecars, as far as the routes allow it; with *reports* each refusal is
    reported.
    """
    manager = manager_by_rds(stats, route_config)
    manager.access_log.append(refusal_log())
    if reports:
        manager.access_log.append(refusal_report())
    say_refusal(manager, 403, REFUSAL, runtime_key="towpath.inbound_refusal")
    # Behind what restores the headers as they came, so that policies see those. What is refused
    # takes nothing of what is limited.
    router = manager.http_filters.pop()
    manager.http_filters.extend((allow_nothing(), no_request_limit(), router))
    return network_filter(manager)
