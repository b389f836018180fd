"""Retries in Envoy's form."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as pb

from towpath.encode.pack import seconds
from towpath.model.retries import RetryPolicy

_BY_STATUS = "retriable-status-codes"


def retry_policy(policy: RetryPolicy) -> pb.RetryPolicy:
    """What a route says of requests that are sent again."""
    conditions = (*policy.conditions, *((_BY_STATUS,) if policy.statuses else ()))
    message = pb.RetryPolicy(
        retry_on=",".join(conditions),
        num_retries={"value": policy.retries},
        retriable_status_codes=policy.statuses,
    )
    if policy.per_try_timeout is not None:
        message.per_try_timeout.CopyFrom(seconds(policy.per_try_timeout))
    if policy.base_interval is not None:
        message.retry_back_off.base_interval.CopyFrom(seconds(policy.base_interval))
    return message
