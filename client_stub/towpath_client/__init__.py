"""Async xDS client: subscribe to any resource type, follow its updates, acknowledge or reject them.

    async for update in subscribe("127.0.0.1:15128", "curl-1.demo", LISTENER):
        print(update.version, sorted(update.resources))

Asking for the next update acknowledges the one before, and so does closing (`contextlib.aclosing`)
after it; `await update.nack("why")` rejects it.
"""

from towpath_client.backoff import Backoff
from towpath_client.client import AdsClient, Mode
from towpath_client.own_stream import subscribe
from towpath_client.resource_types import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    SECRET,
    SIDECAR_CONFIG,
)
from towpath_client.subscription import Subscription
from towpath_client.tls import TlsFiles
from towpath_client.token_file import TokenFile
from towpath_client.update import Resource, ResourceFault, SubscriptionRefused, Update

__all__ = [
    "CLUSTER",
    "ENDPOINTS",
    "LISTENER",
    "ROUTES",
    "SECRET",
    "SIDECAR_CONFIG",
    "AdsClient",
    "Backoff",
    "Mode",
    "Resource",
    "ResourceFault",
    "Subscription",
    "SubscriptionRefused",
    "TlsFiles",
    "TokenFile",
    "Update",
    "subscribe",
]
