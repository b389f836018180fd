"""Removal: what of a cluster an uninstall takes away, all of it read before any is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from towpath.install.installed import deployment, mesh_config
from towpath.install.manifests import WEBHOOK, manifests
from towpath.install.objects import listed, read, stub
from towpath.install.others import ControlPlane
from towpath.install.ownership import INSTANCE, LABEL, NAME, other_owner
from towpath.install.survey import DEFINITION, Conflict
from towpath.install.values import Values
from towpath.kubeapi.client import KubeApi, NoRightError
from towpath.kubeapi.paths import LEASES, SECRETS, Collection

_LEASES = ("towpath-status", "towpath-replica-", "towpath-page-")
_INHABITANTS = (
    *(Collection("apps/v1", plural) for plural in ("deployments", "statefulsets", "daemonsets")),
    *(Collection("batch/v1", plural) for plural in ("jobs", "cronjobs")),
    *(Collection("v1", plural) for plural in ("pods", "services", "configmaps", "secrets")),
    Collection("v1", "persistentvolumeclaims"),
)
_MADE_BY_THE_CLUSTER = ("kube-root-ca.crt",)
MOST_NAMED = 5


@dataclass(slots=True)
class Removal:
    """Objects to delete, in this order; those that stay, with whose they are; what is not known."""

    going: list[Any] = field(default_factory=list)
    kept: list[tuple[Any, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def add(self, record: Any, *, labelled: bool = True) -> None:
        """Sort it in by whose it is; None is what the cluster does not have."""
        if record is None:
            return
        if owner := other_owner(record, labelled=labelled):
            self.kept.append((record, owner))
        else:
            self.going.append(record)


async def removal(
    api: KubeApi,
    namespace: str,
    others: Iterable[ControlPlane],
    *,
    definitions: bool,
    with_namespace: bool,
) -> Removal:
    """What was made for the control plane in *namespace*, with certificates in other namespaces.

    With *definitions* these go too, and with them every policy. Conflict if others need what is to
    go.
    """
    if definitions:
        _check_definitions(others)
    removal = Removal()
    # First what would have pods refused that nobody injects any more.
    applied = manifests(Values(osm_namespace=namespace))
    webhooks = [document for document in applied if document["kind"] == WEBHOOK]
    for document in (*webhooks, deployment(namespace), mesh_config(namespace)):
        removal.add(await read(api, document))
    for lease in await _leases(api, namespace):
        removal.add(lease, labelled=False)
    # Before the authority: nothing is left that names one which is gone.
    try:
        for secret in await _certificates(api, namespace):
            removal.add(secret)
    except NoRightError as error:
        removal.unknown.append(f"certificates in other namespaces: {error}")
    # Definitions come first when all is applied, and the server that reads them last.
    for document in reversed(applied):
        kind = document["kind"]
        if kind in ("Deployment", WEBHOOK) or (kind == DEFINITION and not definitions):
            continue
        if kind != "Namespace":
            removal.add(await read(api, document))
    if with_namespace:
        await _add_namespace(api, namespace, removal)
    return removal


def _check_definitions(others: Iterable[ControlPlane]) -> None:
    if names := "".join(f"\n  {one}" for one in others):
        text = f"another control plane needs the definitions and every policy:{names}\n"
        raise Conflict(f"{text}Nothing was removed: uninstall it first, or leave out -a.")


async def _add_namespace(api: KubeApi, namespace: str, removal: Removal) -> None:
    """The namespace itself; Conflict if that would take along what is not ours."""
    record = await read(api, stub("v1", "Namespace", namespace))
    if record is None or other_owner(record):
        removal.add(record)
        return
    going = {record["metadata"]["uid"] for record in removal.going}
    strangers = []
    for collection in _INHABITANTS:
        for inhabitant in await listed(api, collection, {}, namespace=namespace):
            metadata = inhabitant["metadata"]
            owned = metadata.get("ownerReferences") or metadata["uid"] in going
            if not owned and metadata["name"] not in _MADE_BY_THE_CLUSTER:
                strangers.append(f"{collection.plural}/{metadata['name']}")
    if strangers:
        more = len(strangers) - MOST_NAMED
        names = ", ".join(strangers[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        text = f"namespace {namespace} has more in it than Towpath: {names}"
        raise Conflict(f"{text}\nNothing was removed: leave out --delete-namespace.")
    removal.add(record)


async def _leases(api: KubeApi, namespace: str) -> list[Any]:
    """Which replica writes status, and what the others report to it, found by their names."""
    leases = await listed(api, LEASES, {}, namespace=namespace)
    return [
        _named(lease, LEASES, "Lease")
        for lease in leases
        if lease["metadata"]["name"].startswith(_LEASES)
    ]


async def _certificates(api: KubeApi, namespace: str) -> list[Any]:
    """What `towpath certificates sidecar` put beside the pods of other namespaces."""
    query = {"labelSelector": f"{LABEL}={NAME},{INSTANCE}={namespace}"}
    return [_named(one, SECRETS, "Secret") for one in await listed(api, SECRETS, query)]


def _named(item: Any, collection: Collection, kind: str) -> Any:
    """An item of a list as an object of its own, which says what it is."""
    return {"apiVersion": collection.api_version, "kind": kind, **item}
