"""Caller: what the connection itself proves of who is calling."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import grpc

from towpath.model.credentials import Credential, PodToken, Subscriber
from towpath.model.names import Account

Context = grpc.aio.ServicerContext[Any, Any]

_ACCOUNT = re.compile(
    # A namespace is a DNS label, a service account's name a DNS subdomain.
    r"spiffe://(?P<domain>[a-z0-9._-]+)"
    r"/ns/(?P<namespace>[a-z0-9]([-a-z0-9]*[a-z0-9])?)"
    r"/sa/(?P<name>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)"
)


class Transport(StrEnum):
    """How a caller is connected; the values are gRPC's."""

    TLS = "ssl"
    LOCAL = "local"
    PLAINTEXT = "insecure"


@dataclass(frozen=True, slots=True)
class Caller:
    """One call's other end. `transport` is None if it is none that we know; `spiffe_id` is "" if
    the certificate has none, has other URIs beside it, or is an authority's. `expires_at` is when
    the `credential` ends; both are None without one. `token` is what it proves if it is a token.
    """

    peer: str
    transport: Transport | None
    spiffe_id: str = ""
    expires_at: datetime | None = None
    credential: Credential | None = None
    token: PodToken | None = None

    @classmethod
    def of(cls, context: Context) -> Caller:
        """Who makes the call of that context, by the connection alone: a token counts later."""
        attributes = context.auth_context()
        security = _only(attributes.get("transport_security_type"))
        recognized = security in {transport.value for transport in Transport}
        peer, transport = context.peer(), Transport(security) if recognized else None
        if transport is not Transport.TLS or not attributes.get("x509_pem_cert"):
            return cls(peer, transport)
        # The library that reads certificates takes a tenth of a second to import.
        from towpath.access.certificate import identity

        shows = identity(_only(attributes.get("x509_pem_cert")).encode())
        return cls(peer, transport, shows.spiffe_id, shows.expires_at, Credential.CERTIFICATE)

    def with_token(self, token: PodToken) -> Caller:
        """The same caller, who has shown a token that counts."""
        return replace(self, credential=Credential.TOKEN, token=token, expires_at=token.expires_at)

    def account(self, trust_domain: str) -> Account | None:
        """The service account of the token, or that which the SPIFFE id stands for, if it is one of
        *trust_domain*: https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
        """
        if self.token is not None:
            return self.token.account
        match = _ACCOUNT.fullmatch(self.spiffe_id)
        if match is None or match["domain"] != trust_domain:
            return None
        return Account(namespace=match["namespace"], name=match["name"])

    def subscriber(self, trust_domain: str) -> Subscriber | None:
        """In whose name it may subscribe; None if it is nobody's sidecar."""
        account = self.account(trust_domain)
        if self.transport is not Transport.TLS or account is None or self.credential is None:
            return None
        uid = self.token.uid if self.token else ""
        return Subscriber(account, self.credential, self.expires_at, uid)

    @property
    def fields(self) -> dict[str, str]:
        """What a line of the log about the caller names."""
        fields = {"peer": self.peer, "spiffe_id": self.spiffe_id}
        return {**fields, "pod": str(self.token.sidecar)} if self.token else fields

    def __str__(self) -> str:
        if self.token is not None:
            pod = f"{self.token.sidecar.namespace}/{self.token.sidecar.pod}"
            return f"Pod {pod} of service account {self.token.account} at {self.peer}"
        return f"{self.spiffe_id or 'a caller without SPIFFE id'} at {self.peer}"


def _only(values: Any) -> str:
    """The one value of a connection's property, "" if there is none or are several."""
    texts = [value.decode(errors="replace") for value in values or ()]
    return texts[0] if len(texts) == 1 else ""
