"""ServerTls: the server's certificate, key and client authorities, followed in their files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from towpath.settings import SettingsError
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Contents:
    """What the files held at one moment (PEM)."""

    certificate: bytes
    key: bytes
    client_ca: bytes


class ServerTls:
    """Reads the files at once, then again and again in `follow`; *clock* gives the time.

    What cannot be used raises SettingsError at the start; later the last good pair is kept.
    """

    def __init__(
        self,
        *,
        certificate: Path,
        key: Path,
        client_ca: Path,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._metrics = metrics
        self._clock = clock
        try:
            contents = self._read()
            self._configuration = self._checked(contents)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        self._used = self._seen = contents
        self._failure = ""
        self._handed_out = self._configuration

    def credentials(self) -> grpc.ServerCredentials:
        """What a port needs: every client must have a certificate of the client authorities."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._news, require_client_authentication=True
        )

    async def follow(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Take what the files hold now, if it is new and can be used."""
        try:
            contents = self._read()
            if contents == self._used:
                self._seen, self._failure = contents, ""
            if contents == self._seen:
                return
            self._seen = contents
            self._configuration = self._checked(contents)
        except ValueError as error:
            self._failed(str(error))
        else:
            self._used, self._failure = contents, ""
            self._metrics.tls_reloads.labels("ok").inc()
            log.info("new TLS files are used for new connections: %s", self._certificate)

    def _failed(self, failure: str) -> None:
        # A file that is missing fails at every look, and is told of once.
        if failure != self._failure:
            self._failure = failure
            self._metrics.tls_reloads.labels("failed").inc()
            log.error("new TLS files are not used, the last good ones are kept: %s", failure)

    def _news(self) -> Any:
        """Called by gRPC, in a thread of its own, before each handshake; None: as before."""
        if self._handed_out is self._configuration:
            return None
        self._handed_out = self._configuration
        return self._handed_out

    def _read(self) -> _Contents:
        """The files' contents; ValueError if one cannot be read."""
        return _Contents(
            certificate=_read("--tls-cert", self._certificate),
            key=_read("--tls-key", self._key),
            client_ca=_read("--tls-client-ca", self._client_ca),
        )

    def _checked(self, contents: _Contents) -> grpc.ServerCertificateConfiguration:
        """The contents as gRPC takes them; ValueError says which file is wrong, and how."""
        leaf = _certificates("--tls-cert", self._certificate, contents.certificate)[0]
        _certificates("--tls-client-ca", self._client_ca, contents.client_ca)
        if leaf.not_valid_after_utc <= self._clock():
            text = f"expired at {leaf.not_valid_after_utc.isoformat()}"
            raise ValueError(f"--tls-cert {self._certificate} {text}")
        named = f"--tls-key {self._key}"
        try:
            key = serialization.load_pem_private_key(contents.key, password=None)
        except TypeError as error:
            raise ValueError(f"{named} is encrypted; give one that is not") from error
        except ValueError as error:
            raise ValueError(f"{named} holds no private key (PEM)") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"{named} is neither an RSA nor an elliptic-curve key")  # noqa: TRY004
        if key.public_key() != leaf.public_key():
            raise ValueError(f"{named} is not the key of --tls-cert {self._certificate}")
        self._metrics.tls_expiry.set(leaf.not_valid_after_utc.timestamp())
        return grpc.ssl_server_certificate_configuration(
            [(contents.key, contents.certificate)], root_certificates=contents.client_ca
        )


def _read(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{flag} {path} cannot be read: {error.strerror}") from error


def _certificates(flag: str, path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(f"{flag} {path} holds no certificate (PEM)") from error
