"""Where the server listens, and who may connect there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from towpath.settings.addresses import TCP_OR_NONE, UNIX, is_loopback, is_tcp, is_tcp_or_unix
from towpath.settings.declaration import Form, Group, SettingsError, setting

SOCKET_PATH_BYTES = 107
"""The longest path that a unix socket can have."""

_TCP = Form("HOST:PORT with a port of 0 to 65535", is_tcp)
_TCP_OR_UNIX = Form("HOST:PORT with a port of 0 to 65535, or unix:/PATH", is_tcp_or_unix)
_LOOPBACK_OR_NONE = Form(
    "HOST:PORT with a loopback address, or nothing",
    lambda text: not text or (is_tcp(text) and is_loopback(text)),
)
_AUDIENCE = Form("a text that is not empty", bool)
_TRUST_DOMAIN = Form(
    "a name of lower-case letters, digits, '.', '-' and '_'",
    lambda text: re.fullmatch(r"[a-z0-9._-]+", text) is not None,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessSettings(Group):
    """Addresses, certificates, and the people who may ask."""

    title: ClassVar[str] = "Addresses and access"

    ads_address: str = setting(
        "127.0.0.1:15128",
        "Where sidecars subscribe (gRPC).",
        form=_TCP_OR_UNIX,
    )
    ads_token_address: str = setting(
        "",
        "Where sidecars subscribe with the token of their pod (gRPC): TLS by --tls-cert, and no "
        "client certificate. Empty: nowhere.",
        form=TCP_OR_NONE,
    )
    token_audience: str = setting(
        "towpath", "The audience that a pod's token must be for.", form=_AUDIENCE
    )
    http_address: str = setting(
        "127.0.0.1:9091", "Where health, metrics and version are served (HTTP).", form=_TCP
    )
    local_socket: Path | None = setting(
        None, "Unix socket, for its owner only, of the Inspector, CSDS, reflection and health."
    )
    local_address: str = setting(
        "",
        "Loopback address of the same (gRPC, plaintext), for port-forwards of Kubernetes into its "
        "pod. Whoever may open connections there is let in. Empty: nowhere.",
        form=_LOOPBACK_OR_NONE,
    )
    plaintext: bool = setting(
        False,  # noqa: FBT003 - a default
        "Allow an --ads-address that is not loopback although the connection is plaintext.",
    )
    tls_cert: Path | None = setting(
        None,
        "Certificate chain of the ADS port (PEM); TLS needs --tls-key and --tls-client-ca too. "
        "The three files are read again when they change.",
    )
    tls_key: Path | None = setting(None, "Private key of --tls-cert (PEM, not encrypted).")
    tls_client_ca: Path | None = setting(
        None, "Authorities that issue clients' certificates (PEM): every client must have one."
    )
    tls_trust_domain: str = setting(
        "cluster.local",
        "Trust domain of sidecars' SPIFFE ids: spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT.",
        form=_TRUST_DOMAIN,
    )
    authority: Path | None = setting(
        None,
        "Folder with the authority of sidecars' certificates: the entries of its Secret as files. "
        "They are read again when they change. It needs TLS on the ADS port.",
    )
    leaf_keys: Literal["derived", "random"] = setting(
        "derived",
        "How the keys of these certificates are made: derived from the authority's key, so that "
        "all replicas send the same, or random.",
    )
    inspector_identities: str = setting(
        "", "SPIFFE ids, comma-separated: who may call the Inspector, CSDS and reflection by TLS."
    )

    @property
    def tls(self) -> bool:
        """True if the ADS port speaks TLS."""
        return self.tls_cert is not None

    @property
    def people(self) -> frozenset[str]:
        """The identities of `inspector_identities`."""
        return frozenset(filter(None, map(str.strip, self.inspector_identities.split(","))))

    def check(self) -> None:
        """TLS is whole or not at all; plaintext is for loopback, unless it is allowed."""
        absent = [path is None for path in (self.tls_cert, self.tls_key, self.tls_client_ca)]
        if any(absent) and not all(absent):
            raise SettingsError("give --tls-cert, --tls-key and --tls-client-ca together, or none")
        if self.authority is not None and not self.tls:
            raise SettingsError(
                "--authority needs --tls-cert, --tls-key and --tls-client-ca: sidecars are sent "
                "private keys, which must not go over a plaintext connection"
            )
        on_socket = self.ads_address.startswith(UNIX)
        if self.tls and (self.plaintext or on_socket):
            other = "--plaintext" if self.plaintext else f"--ads-address {self.ads_address}"
            raise SettingsError(f"--tls-cert and {other}: give one of them, not both")
        if not (on_socket or self.tls or self.plaintext or is_loopback(self.ads_address)):
            raise SettingsError(
                f"--ads-address is {self.ads_address}, which is not loopback, and the "
                "connection is plaintext: anyone who reaches it could read every sidecar's "
                "configuration. Use a loopback address, set --tls-cert, --tls-key and "
                "--tls-client-ca, or allow it with --plaintext"
            )
        if self.ads_token_address and not self.tls:
            raise SettingsError(
                f"--ads-token-address is {self.ads_token_address}, but there is no certificate for "
                "it: set --tls-cert, --tls-key and --tls-client-ca"
            )
        for identity in sorted(self.people):
            if not identity.startswith("spiffe://"):
                raise SettingsError(
                    f"--inspector-identities has {identity!r}, which is not a SPIFFE id "
                    "(spiffe://…)"
                )
        if len(str(self.local_socket).encode()) > SOCKET_PATH_BYTES:
            raise SettingsError(
                f"--local-socket is longer than {SOCKET_PATH_BYTES} bytes, which is all "
                "that the path of a unix socket can have"
            )
