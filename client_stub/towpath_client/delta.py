"""DeltaExchange: the incremental mode, in which only what changed is sent, each with its version.

https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
"""

from __future__ import annotations

from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.rpc import status_pb2

from towpath_client.exchange import Arrival, Exchange, Request, errors_in, fault_in
from towpath_client.update import Resource


class DeltaExchange(Exchange):
    """One type's subscription in incremental mode."""

    shares_version = False

    def read(self, response: discovery.DeltaDiscoveryResponse) -> Arrival:
        named = [(resource.name, resource.resource) for resource in response.resources]
        removed = {*response.removed_resources, *(n.name for n in response.removed_resource_names)}
        return Arrival(
            nonce=response.nonce,
            version=response.system_version_info,
            resources={r.name: Resource(r.version, r.resource) for r in response.resources},
            removed=frozenset(removed),
            errors=errors_in(response),
            complete=False,
            fault=fault_in(self.type_url, named),
        )

    def first_request(self) -> Request:
        return discovery.DeltaDiscoveryRequest(
            type_url=self.type_url,
            resource_names_subscribe=self.names,
            initial_resource_versions={
                name: resource.version for name, resource in self.held.items()
            },
        )

    def verdict(self, nonces: list[str], error: status_pb2.Status | None) -> list[Request]:
        return [
            discovery.DeltaDiscoveryRequest(
                type_url=self.type_url, response_nonce=nonce, error_detail=error
            )
            for nonce in nonces
        ]

    def renamed(self, before: tuple[str, ...]) -> list[Request]:
        answers: list[Request] = []
        if not self.names:
            # Nothing is wanted any more, so nobody will take these, and the server waits for them.
            answers = self.verdict([arrival.nonce for arrival in self.waiting], None)
            self.waiting.clear()
        return [
            *answers,
            discovery.DeltaDiscoveryRequest(
                type_url=self.type_url,
                resource_names_subscribe=[name for name in self.names if name not in before],
                resource_names_unsubscribe=[name for name in before if name not in self.names],
            ),
        ]

    def accepted(self, version: str) -> None:
        """Nothing to note: each resource has its own version."""
