"""Survey: what a cluster has in the place of each object to apply, before any is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NoReturn

from towpath.install.installed import deployment
from towpath.install.objects import read, title
from towpath.install.others import OURS, ControlPlane
from towpath.install.ownership import other_owner, release_of
from towpath.install.packaged import Document
from towpath.install.values import Values
from towpath.kubeapi.client import KubeApi

DEFINITION = "CustomResourceDefinition"
_TAKEABLE = (DEFINITION, "ConfigMap")
"""What a mesh that is removed may leave behind."""
GUIDE = "docs/migrate-from-osm.md says how to move over from another mesh"


class Conflict(Exception):
    """Something of somebody else stands in the way; nothing was changed."""


class Step(Enum):
    """What is to be done with one object."""

    APPLY = auto()
    TAKE = auto()
    """Another's: replaced by ours, because that was asked for."""
    KEEP = auto()
    """Another's: used as it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object to apply; *record* is what the cluster has in its place, if anything."""

    document: Document
    step: Step
    record: Any = None
    owner: str = ""


def refuse_others(others: Iterable[ControlPlane], *, nothing: str) -> NoReturn:
    """Say what else is in the cluster; *nothing* is what was not done."""
    lines = "".join(f"\n  {one}" for one in others)
    text = f"another control plane is in this cluster:{lines}\nNothing was {nothing}. {GUIDE};"
    raise Conflict(f"{text} --allow-other-meshes continues next to it.")


async def refuse_release(api: KubeApi, namespace: str, *, nothing: str) -> None:
    """Conflict if the Towpath in *namespace* is Helm's; *nothing* is what was not done."""
    record = await read(api, deployment(namespace))
    if record is not None and (release := release_of(record)):
        text = f"the control plane in {namespace} is the {release}: upgrade and uninstall it"
        raise Conflict(f"{text} by Helm, as docs/install.md says.\nNothing was {nothing}.")


def check_others(others: Iterable[ControlPlane], values: Values, *, allowed: bool) -> None:
    """Conflict if another control plane is in the cluster, or stands where ours is to be.

    With *allowed* it may be there, in another namespace, with another mesh.
    """
    others = list(others)
    if others and not allowed:
        refuse_others(others, nothing="changed")
    for one in others:
        if one.namespace == values.osm_namespace:
            text = f"{one.namespace} is the namespace of another control plane:\n  {one}\n"
            raise Conflict(f"{text}Nothing was changed: give another --osm-namespace.")
        if one.mesh in ("", values.mesh_name):
            mesh = f"mesh {one.mesh} has" if one.mesh else "it may be that this mesh has"
            text = f"{mesh} a control plane already:\n  {one}\n"
            raise Conflict(f"{text}Nothing was changed: give another --mesh-name.")


async def survey(
    api: KubeApi, documents: Iterable[Document], others: Iterable[ControlPlane], *, take: bool
) -> list[Entry]:
    """What to do with each document, in their order.

    Of other owners' objects a namespace is used as it is, and so are the definitions of a control
    plane that lives beside us. With *take*, what another mesh has left is replaced. Conflict names
    all that is left.
    """
    foreign = [one for one in others if one.product != OURS]
    if take and foreign:
        lines = "".join(f"\n  {one}" for one in foreign)
        text = f"--take-ownership is for what a mesh has left that is gone; here are:{lines}"
        raise Conflict(f"{text}\nNothing was changed.")
    entries, conflicts = [], []
    for document in documents:
        record = await read(api, document)
        owner = "" if record is None else other_owner(record)
        kind = document["kind"]
        if not owner:
            step = Step.APPLY
        elif kind == "Namespace" or (foreign and kind == DEFINITION):
            step = Step.KEEP
        elif take and kind in _TAKEABLE:
            step = Step.TAKE
        else:
            conflicts.append((kind, f"  {title(document)}: {owner}"))
            continue
        entries.append(Entry(document, step, record, owner))
    if conflicts:
        lines = "\n".join(line for _, line in conflicts)
        text = f"these objects are not Towpath's:\n{lines}\nNothing was changed."
        if all(kind in _TAKEABLE for kind, _ in conflicts):
            text += f" If their mesh is gone, --take-ownership replaces them; {GUIDE}."
        else:
            text += " Rename or delete them, or give another --osm-namespace."
        raise Conflict(text)
    return entries
