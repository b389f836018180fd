"""The endpoints that an Envoy has beside those that it is offered."""

from __future__ import annotations

from typing import Any

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.json_format import ParseDict

from towpath.cli.entries import Entry, ResourceStatus, beside_envoy
from towpath.encode.pack import resource
from towpath.model.snapshot import Resource
from towpath.model.types import ENDPOINTS


def _assignment(*addresses: str, **of_each: Any) -> Resource:
    members = [
        {"endpoint": {"address": {"socketAddress": {"address": one, "portValue": 80}}}, **of_each}
        for one in addresses
    ]
    document = {"clusterName": "web", "endpoints": [{"lbEndpoints": members}]}
    return resource("web", ParseDict(document, ClusterLoadAssignment()))


def _beside(offered: Resource, present: Resource) -> Entry:
    offer = Entry(ENDPOINTS, "web", "1", ResourceStatus.ACKNOWLEDGED, offered, "")
    (entry,) = beside_envoy([offer], {(ENDPOINTS, "web"): present}, None)
    return entry


def test_states_and_weights_that_envoy_fills_in_are_no_difference() -> None:
    present = _assignment("10.0.0.1", "10.0.0.2", healthStatus="UNHEALTHY", loadBalancingWeight=1)

    assert not _beside(_assignment("10.0.0.1", "10.0.0.2"), present).differs


def test_endpoints_that_envoy_lacks_or_has_besides_are_named() -> None:
    present = _assignment("10.0.0.1", "10.0.0.3", healthStatus="HEALTHY", loadBalancingWeight=1)
    entry = _beside(_assignment("10.0.0.1", "10.0.0.2"), present)
    changes = [line.split() for line in entry.changes() if line[0] in "+-"]

    assert ResourceStatus.OTHER == entry.status
    assert [["-", "10.0.0.3:80"], ["+", "10.0.0.2:80"]] == changes
