"""RBAC: who may make which requests of an inbound port, as a union of policies that allow.

The filter in the listener allows nobody. What is allowed stands in the routes of the port, so that
a change of policies is one of routes alone: it is in force with the next request, also on a
connection that is open, and ends none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envoy.config.rbac.v3 import rbac_pb2 as rbac
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from towpath.encode.envoy.filters import http_filter
from towpath.encode.pack import pack

EVERYTHING = "permissive"
"""The name of the policy that allows any request from anyone."""


def allow_nothing() -> hcm.HttpFilter:
    """The filter of a listener: without a word in the routes every request is refused."""
    return http_filter("rbac", RBAC(rules=rbac.RBAC()))


def allow(
    policies: Mapping[str, Policy], *, shadow: Mapping[str, Policy] | None = None
) -> AnyMessage:
    """What a virtual host says to the filter: a request passes that one of the policies allows.

    Whether one of *shadow* would have allowed it is counted, and the requests of each.
    """
    config = RBAC(rules=rbac.RBAC(policies=policies))
    if shadow is not None:
        config.shadow_rules.CopyFrom(rbac.RBAC(policies=shadow))
        config.track_per_rule_stats = True
    return pack(RBACPerRoute(rbac=config))


def everything() -> dict[str, Policy]:
    """Any request, from anyone."""
    anyone, anything = Principal(any=True), Permission(any=True)
    return {EVERYTHING: Policy(permissions=[anything], principals=[anyone])}


def common(before: AnyMessage, after: AnyMessage) -> AnyMessage:
    """Every policy of *before* that *after* has as well, in the same bytes.

    Of two unions that is never more than either allows. Where *after* allows everything it is all
    of *before*; and where *before* does, it is also what it has counted (shadow rules), and what of
    *after* no client can reject, so that whoever is allowed in both is so all the time. What
    *after* would only count does not matter.
    """
    old, new = _policies(before), _policies(after)
    whole = everything()[EVERYTHING]
    if new.get(EVERYTHING) == whole:
        return allow(old)
    if old.get(EVERYTHING) == whole:
        old |= _policies(before, shadow=True)
        old |= {name: policy for name, policy in new.items() if not _has_regex(policy)}
    return allow({name: policy for name, policy in old.items() if new.get(name) == policy})


def _policies(packed: AnyMessage, *, shadow: bool = False) -> dict[str, Policy]:
    """The policies that allow, or with *shadow* those that would; none where something else is said
    than `allow` does.
    """
    route = RBACPerRoute()
    if not packed.Unpack(route):
        return {}
    rules = route.rbac.shadow_rules if shadow else route.rbac.rules
    matcher = route.rbac.HasField("shadow_matcher" if shadow else "matcher")
    given = route.rbac.HasField("shadow_rules" if shadow else "rules")
    if matcher or not given or rules.action != rbac.RBAC.ALLOW:
        return {}
    return dict(rules.policies)


def _has_regex(message: Message) -> bool:
    """True if an expression stands anywhere in it, which a client may reject."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        parts = value if isinstance(value, Iterable) else (value,)
        if any(isinstance(part, RegexMatcher) or _has_regex(part) for part in parts):
            return True
    return False
