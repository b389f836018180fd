"""SotwExchange: the state-of-the-world mode, in which one version covers all resources of a type.

https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#basic-protocol-overview
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.rpc import status_pb2

from towpath_client.exchange import Arrival, Exchange, Request, errors_in, fault_in
from towpath_client.resource_types import FULL_STATE, NAMED_BY_FIELD_1, name_of
from towpath_client.update import Resource


class SotwExchange(Exchange):
    """One type's subscription in state-of-the-world mode."""

    shares_version = True

    def __init__(self, type_url: str, names: Iterable[str]) -> None:
        if type_url not in NAMED_BY_FIELD_1:
            raise ValueError(
                f"type {type_url!r} cannot be followed in mode 'sotw', because the place of the "
                f"name in it is not known; use mode 'delta' or one of {sorted(NAMED_BY_FIELD_1)}"
            )
        super().__init__(type_url, names)
        self._version = ""  # of the last response that was accepted
        self._covers_names = True  # that response was an answer to the names wanted now
        self._nonce = ""  # of the last response that was answered on this stream
        self._error: status_pb2.Status | None = None  # what was answered to it

    def read(self, response: discovery.DiscoveryResponse) -> Arrival:
        resources: dict[str, Resource] = {}
        try:
            named = [(name_of(body), body) for body in response.resources]
            resources = {name: Resource(response.version_info, body) for name, body in named}
            fault = fault_in(self.type_url, named)
        except ValueError as error:
            fault = f"a resource's name cannot be read: {error}"
        return Arrival(
            nonce=response.nonce,
            version=response.version_info,
            resources=resources,
            removed=frozenset(),
            errors=errors_in(response),
            complete=self.type_url in FULL_STATE,
            fault=fault,
        )

    def first_request(self) -> Request:
        self._nonce, self._error = "", None
        # A server may stay silent if it is told the version it has, so that version may only be
        # named if nothing was asked for since.
        return self._request(self._version if self._covers_names else "")

    def verdict(self, nonces: list[str], error: status_pb2.Status | None) -> list[Request]:
        # Only the newest response can be answered: the server ignores older nonces.
        self._nonce, self._error = nonces[-1], error
        return [self._request(self._version)]

    def renamed(self, before: tuple[str, ...]) -> list[Request]:
        if set(self.names) - set(before):
            self._covers_names = False
        unanswered = [*(self.in_hand.nonces if self.in_hand else ())]
        unanswered += [arrival.nonce for arrival in self.waiting]
        if unanswered and self.names:
            # A request sent now would either answer the newest response or be ignored as too old;
            # the coming answer carries the names.
            return []
        if unanswered:
            # Nothing is wanted any more: there is nothing left to reject.
            self._nonce, self._error = unanswered[-1], None
        return [self._request(self._version)]

    def accepted(self, version: str) -> None:
        self._version = version
        self._covers_names = True

    def _request(self, version: str) -> Request:
        # The error is repeated until another response is answered: a request with the same nonce
        # and no error would take the rejection back.
        return discovery.DiscoveryRequest(
            type_url=self.type_url,
            version_info=version,
            resource_names=self.names,
            response_nonce=self._nonce,
            error_detail=self._error,
        )
