"""What a gate is shown of a caller, without a connection."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

import grpc

from support.certificates import certificate_for


class AbortedError(Exception):
    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(status, details)
        self.status = status
        self.details = details


class _Context:
    def __init__(self, transport: str, *spiffe_ids: str) -> None:
        self._shown = {
            "transport_security_type": [transport.encode()],
            "x509_pem_cert": [_certificate(spiffe_ids)],
        }
        self.requests: list[bytes] = [b""]

    async def read(self) -> Any:
        return self.requests.pop(0) if self.requests else grpc.aio.EOF

    def auth_context(self) -> dict[str, list[bytes]]:
        return self._shown

    def peer(self) -> str:
        return "ipv4:10.0.0.1:1"

    async def abort(self, status: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(status, details)


@lru_cache
def _certificate(uris: tuple[str, ...]) -> bytes:
    return certificate_for(*uris).certificate


def call_context(transport: str, *spiffe_ids: str) -> Any:
    """A call's context, of gRPC's type for all that the gate asks of it."""
    return _Context(transport, *spiffe_ids)
