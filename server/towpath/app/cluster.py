"""What serves a cluster: the source that follows it, and the writer of status, on one client."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from towpath.clock import utc_now
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.configuration import connect
from towpath.kubeapi.lease import Lease, replica_name
from towpath.kubeapi.names import cluster_wide_name
from towpath.settings import Settings, SettingsError
from towpath.sources.kube import KubeSource
from towpath.sources.kube.checkpoint import Origin
from towpath.sources.kube.keeper import Keeper
from towpath.status import StatusWriter
from towpath.status.ca_bundle import CaBundle
from towpath.status.preset import Preset
from towpath.status.reports import Reports
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

LEASE = "towpath-status"

Writer = StatusWriter | Preset | CaBundle


@contextlib.asynccontextmanager
async def cluster(
    settings: Settings,
    store: Store,
    hub: Hub,
    *,
    status_debounce: Debounce,
    metrics: Metrics,
    roots: Callable[[], bytes] | None = None,
) -> AsyncIterator[tuple[KubeSource, tuple[Writer, ...]]]:
    """The source, and what writes to the cluster, not yet running; closed at the end.

    With *roots*, API servers are told to trust them. Raises SettingsError.
    """
    try:
        api = await connect(settings.source.kubeconfig, settings.source.context)
    except KubeApiError as error:
        text = f"{error}; give --manifests DIR or --kubeconfig FILE, or run in a cluster"
        raise SettingsError(text) from error
    namespace, clock = settings.mesh.osm_namespace, time.monotonic
    path = settings.source.checkpoint
    keeper = None if path is None else _keeper(settings, path, api, metrics)
    source = KubeSource(
        api,
        store,
        osm_namespace=namespace,
        metrics=metrics,
        keeper=keeper,
        tokens=bool(settings.access.ads_token_address),
    )
    identity = replica_name(socket.gethostname(), uuid.uuid4().hex)
    lease = Lease(api, namespace=namespace, name=LEASE, identity=identity, clock=clock, now=utc_now)
    writer = StatusWriter(
        hub,
        api,
        lease=lease,
        reports=Reports(api, namespace=namespace, identity=identity, clock=clock, now=utc_now),
        status_debounce=status_debounce,
        identity=identity,
        metrics=metrics,
        clock=clock,
        now=utc_now,
    )
    try:
        writers: list[Writer] = []
        if settings.source.write_status:
            writers += [writer, Preset(api, lease=lease, namespace=namespace)]
        if settings.source.write_status and roots is not None:
            name = cluster_wide_name(namespace)
            writers.append(CaBundle(api, lease=lease, name=name, roots=roots))
        yield source, tuple(writers)
    finally:
        await api.close()


def _keeper(settings: Settings, path: Path, api: KubeApi, metrics: Metrics) -> Keeper:
    origin = Origin(settings.mesh.mesh_name, settings.mesh.osm_namespace, api.url, api.authority)
    age = settings.source.checkpoint_max_age
    return Keeper(path, origin, metrics=metrics, now=time.time, max_age_s=age)
