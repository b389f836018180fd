"""TlsFiles: the certificates that a client shows and trusts, as files that may be replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: whom to trust, and this client's certificate chain and private key.

    They are read anew for each connection, so a renewed certificate is used from the next one on.
    `server_name` is the name that the server's certificate must have, if it is not the address's.
    """

    ca: Path
    certificate: Path
    key: Path
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files; OSError if one cannot be read."""
        return grpc.ssl_channel_credentials(
            self.ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )

    def channel_options(self) -> tuple[tuple[str, str], ...]:
        """The options that a channel with these credentials needs beside them."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()
