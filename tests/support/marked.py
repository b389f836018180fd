"""Meshes that have an authority, with pods that carry the mark of mutual TLS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from support.identities import identity
from support.objects import endpoint_slice, mesh_config, mesh_of, namespace, pod, service
from towpath.model.identity import MtlsMode
from towpath.model.mesh import Mesh, Object
from towpath.model.meshconfig import MeshConfig
from towpath.model.workloads import Pod
from towpath.planning.identity import MARK

MARKED = {MARK[0]: MARK[1]}


def marked_pod(name: str = "web-1", *, marked: bool = True, **fields: Any) -> Pod:
    """A pod that carries the mark, unless it is not *marked*; the rest as `objects.pod`."""
    labels = {**fields.pop("more_labels", {}), **(MARKED if marked else {})}
    return pod(name, more_labels=labels, **fields)


def config(mode: MtlsMode = MtlsMode.PERMISSIVE) -> MeshConfig:
    return replace(mesh_config(), mtls=mode)


def encrypted_mesh(*objects: Object, mode: MtlsMode = MtlsMode.PERMISSIVE) -> Mesh:
    """Namespace `shop` of a mesh that has an authority, and these objects."""
    return with_authority(mesh_of(namespace(), config(mode), *objects))


def with_authority(mesh: Mesh, name: str = "stub") -> Mesh:
    """The same mesh, with leaves of that name."""
    return replace(mesh, identity=identity(name))


def web(*addresses: str, marked: Sequence[bool] = (True,), account: str = "web") -> list[Object]:
    """The service `web`, and a pod at each of its addresses; *marked* says which carry the mark,
    the last of it for all that follow.
    """
    marks = (*marked, *[marked[-1]] * len(addresses))
    pods = [
        marked_pod(f"web-{number}", marked=mark, account=account, addresses=[address])
        for number, (address, mark) in enumerate(zip(addresses, marks, strict=False), start=1)
    ]
    return [service("web"), endpoint_slice("web", *addresses), *pods]
