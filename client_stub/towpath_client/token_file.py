"""TokenFile: a pod's token, as a file that Kubernetes keeps fresh, in place of a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Paths: whom to trust (PEM), and the token that is sent with each stream.

    Both are read again for each connection, so a renewed token is used from the next one on.
    `server_name` is the name that the server's certificate must have, if it is not the address's.
    """

    ca: Path
    token: Path
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the authorities; OSError if they cannot be read."""
        return grpc.ssl_channel_credentials(self.ca.read_bytes())

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call needs; OSError if the token cannot be read, or is none."""
        try:
            token = self.token.read_text(encoding="ascii").strip()
        except UnicodeDecodeError as error:
            raise OSError(f"{self.token} is not a token") from error
        if not token:
            raise OSError(f"{self.token} is empty")
        return (("authorization", f"Bearer {token}"),)

    def channel_options(self) -> tuple[tuple[str, str], ...]:
        """The options that a channel with these credentials needs beside them."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()
