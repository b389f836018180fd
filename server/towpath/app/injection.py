"""The port of the injection webhook, if one is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from towpath.admin.http_port import PortName, http_port
from towpath.hub.hub import Hub
from towpath.inject.installation import installation
from towpath.inject.pod import Installation
from towpath.inject.webhook import Webhook
from towpath.settings import Settings, SettingsError
from towpath.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from towpath.access.tls import ServerTls

PORT = PortName("injection", "--injection-address")
MOST_CONNECTIONS = 512
"""An API server opens one for each pod that is created at a time."""


def roots_to_trust(hub: Hub, tls: ServerTls) -> Callable[[], bytes]:
    """Gives the certificates (PEM) by which the control plane is known: to sidecars, and to API
    servers.
    """

    def trusted() -> bytes:
        roots = hub.mesh.roots()
        return tls.client_authorities if roots is None else roots.certificates

    return trusted


@contextlib.asynccontextmanager
async def injection_port(
    settings: Settings, hub: Hub, tls: ServerTls | None, *, metrics: Metrics
) -> AsyncIterator[None]:
    """Serve the webhook at --injection-address. Raises SettingsError and OSError."""
    address = settings.injection.injection_address
    if not address:
        yield
        return
    if tls is None:
        raise SettingsError(
            f"{PORT.flag} is {address}, but an API server speaks nothing but TLS: set --tls-cert, "
            "--tls-key and --tls-client-ca"
        )

    trusted = roots_to_trust(hub, tls)

    def begin() -> Installation:
        return installation(settings.mesh.osm_namespace, trusted(), settings.injection)

    webhook = Webhook(lambda: hub.mesh if hub.ready else None, begin, metrics=metrics)
    async with http_port(
        webhook.application(),
        address,
        metrics=metrics,
        name=PORT,
        tls=tls.context(),
        most_connections=MOST_CONNECTIONS,
    ):
        yield
