"""RBAC: who may make which requests of an inbound port, as a union of policies that allow.

The filter in the listener allows nobody. What is allowed stands in the routes of the port, so that
a change of policies is one of routes alone: it is in force with the next request, also on a
connection that is open, and ends none.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.rbac.v3 import rbac_pb2 as rbac
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.envoy.filters import http_filter
from towpath.encode.pack import pack

RBAC_FILTER = "envoy.filters.http.rbac"
EVERYTHING = "permissive"
"""The name of the policy that allows any request from anyone."""


def allow_nothing() -> hcm.HttpFilter:
    """The filter of a listener: without a word in the routes every request is refused."""
    return http_filter("rbac", RBAC(rules=rbac.RBAC()))


def allow(policies: Mapping[str, Policy]) -> AnyMessage:
    """What a virtual host says to the filter: a request passes that one of the policies allows."""
    return pack(RBACPerRoute(rbac=RBAC(rules=rbac.RBAC(policies=policies))))


def everything() -> dict[str, Policy]:
    """Any request, from anyone."""
    anyone, anything = Principal(any=True), Permission(any=True)
    return {EVERYTHING: Policy(permissions=[anything], principals=[anyone])}


def common(before: AnyMessage, after: AnyMessage) -> AnyMessage:
    """Every policy of *before* that *after* has as well, in the same bytes.

    Of two unions that is never more than either allows. What *after* would only count (shadow
    rules) does not matter.
    """
    old, new = _policies(before), _policies(after)
    return allow({name: policy for name, policy in old.items() if new.get(name) == policy})


def _policies(packed: AnyMessage) -> dict[str, Policy]:
    """The policies that allow; none where something else is said than `allow` does."""
    route = RBACPerRoute()
    if not packed.Unpack(route) or route.rbac.rules.action != rbac.RBAC.ALLOW:
        return {}
    if route.rbac.HasField("matcher") or not route.rbac.HasField("rules"):
        return {}
    return dict(route.rbac.rules.policies)
