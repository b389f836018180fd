"""ServerTls: the server's certificate, key and client authorities, followed in their files."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

from towpath.access.checks import check_authorities, check_pair
from towpath.settings import SettingsError
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Contents:
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
        self._used = contents
        self._failure = LogOnce(log, logging.ERROR)
        self._news = self._for_a_port()
        self._contexts: list[ssl.SSLContext] = []
        self._takers: list[Callable[[Contents], None]] = []

    @property
    def expires_at(self) -> datetime:
        """When the server's certificate expires."""
        return self._expires_at

    @property
    def client_authorities(self) -> bytes:
        """The authorities (PEM) in use."""
        return self._used.client_ca

    def context(self) -> ssl.SSLContext:
        """What an HTTPS port needs, which asks for no certificate; it follows the files too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._key)
        self._contexts.append(context)
        return context

    def hand_out(self, take: Callable[[Contents], None]) -> None:
        """Have *take* called with what the files hold, now and when they hold something new.

        It raises ValueError for what it cannot use.
        """
        try:
            take(self._used)
        except ValueError as error:
            raise SettingsError(f"--tls-cert {self._certificate}: {error}") from error
        self._takers.append(take)

    def credentials(self) -> grpc.ServerCredentials:
        """What a port needs: every client must have a certificate of the client authorities."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._news, require_client_authentication=True
        )

    def token_credentials(self) -> grpc.ServerCredentials:
        """What a port needs on which no client has a certificate, and so each call a token."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._for_a_port(), require_client_authentication=False
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
                self._failure.over()
                return
            # What was refused before is looked at again: it may only not have been valid yet.
            self._configuration = self._checked(contents)
            for context in self._contexts:
                context.load_cert_chain(self._certificate, self._key)
            for take in self._takers:
                take(contents)
        except (ValueError, OSError) as error:
            self._failed(str(error))
        else:
            self._used = contents
            self._failure.over()
            self._metrics.tls_reloads.labels("ok").inc()
            log.info("new TLS files are used for new connections: %s", self._certificate)

    def _failed(self, failure: str) -> None:
        # A file that is wrong fails at every look, and is told of once.
        text = f"new TLS files are not used, the last good ones are kept: {failure}"
        if self._failure.tell(text):
            self._metrics.tls_reloads.labels("failed").inc()

    def _for_a_port(self) -> Callable[[], Any]:
        """What gRPC calls, in a thread of its own, before each handshake; None: as before."""
        handed_out = self._configuration

        def news() -> Any:
            nonlocal handed_out
            if handed_out is self._configuration:
                return None
            handed_out = self._configuration
            return handed_out

        return news

    def _read(self) -> Contents:
        """The files' contents; ValueError if one cannot be read."""
        return Contents(
            certificate=_read("--tls-cert", self._certificate),
            key=_read("--tls-key", self._key),
            client_ca=_read("--tls-client-ca", self._client_ca),
        )

    def _checked(self, contents: Contents) -> grpc.ServerCertificateConfiguration:
        """The contents as gRPC takes them; ValueError says which file is wrong, and how."""
        now = self._clock()
        leaf = check_pair(
            contents.certificate,
            contents.key,
            now=now,
            names=(f"--tls-cert {self._certificate}", f"--tls-key {self._key}"),
        )
        check_authorities(contents.client_ca, now=now, name=f"--tls-client-ca {self._client_ca}")
        self._expires_at = leaf.not_valid_after_utc
        self._metrics.tls_expiry.set(leaf.not_valid_after_utc.timestamp())
        return grpc.ssl_server_certificate_configuration(
            [(contents.key, contents.certificate)], root_certificates=contents.client_ca
        )


def _read(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{flag} {path} cannot be read: {error.strerror}") from error
