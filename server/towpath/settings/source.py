"""Where the objects of the mesh come from, and which of them are the mesh's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from towpath.model.mesh import MeshScope
from towpath.settings.declaration import Form, Group, SettingsError, setting

MONTH_S = 30 * 86_400

MESH_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
"""What may be a label's value."""

MESH_NAME_WORDS = "letters, digits, '-', '_' and '.', at most 63 characters"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSettings(Group):
    """A folder, or a cluster and what is written to it."""

    title: ClassVar[str] = "Folder or cluster"

    manifests: Path | None = setting(
        None, "Folder of manifests (*.yaml, *.yml, *.json); a server follows its changes."
    )
    kubeconfig: Path | None = setting(
        None,
        "Kubeconfig of the cluster to serve; without it and --manifests, the cluster that the "
        "server runs in.",
    )
    context: str = setting("", "Context of the kubeconfig; without it, the current one.")
    write_status: bool = setting(
        True,  # noqa: FBT003 - a default
        "Write conditions, Events and the first MeshConfig to the cluster (one replica does, "
        "elected by a Lease).",
    )
    checkpoint: Path | None = setting(
        None,
        "File that keeps the last known state of the cluster, for a start while its API is "
        "unavailable.",
    )
    checkpoint_max_age: float = setting(
        86_400.0,
        "Refuse a checkpoint whose content the API server last confirmed longer ago than this.",
        unit="seconds",
        bounds=(1, MONTH_S),
    )

    def check(self) -> None:
        """A folder needs neither cluster nor checkpoint; a checkpoint needs a folder to be in."""
        if self.manifests is not None and self.kubeconfig is not None:
            raise SettingsError("--manifests and --kubeconfig: give one of them, not both")
        if self.manifests is not None and self.checkpoint is not None:
            raise SettingsError("--manifests and --checkpoint: a folder needs no checkpoint")
        if self.checkpoint is not None and not self.checkpoint.absolute().parent.is_dir():
            raise SettingsError(
                f"--checkpoint is {self.checkpoint}, but there is no such folder: "
                "give a file in a folder that exists"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshSettings(Group):
    """Which objects are the mesh's, and what they may say of others."""

    title: ClassVar[str] = "Mesh"

    mesh_name: str = setting(
        "osm",
        "Namespaces whose label openservicemesh.io/monitored-by has this value are served.",
        form=Form(MESH_NAME_WORDS, lambda text: re.fullmatch(MESH_NAME, text) is not None),
    )
    osm_namespace: str = setting(
        "osm-system", "Namespace of the control plane, where the MeshConfig osm-mesh-config lives."
    )
    cross_namespace_egress: Literal["allow", "deny"] = setting(
        "allow", "Whether an Egress may select service accounts of other namespaces."
    )
    outside_endpoints: Literal["allow", "deny"] = setting(
        "deny",
        "Whether the EndpointSlices of a Service without a selector may contain addresses that are "
        "not pods, and so lead out of the mesh.",
    )
    shadow_targets: bool = setting(
        True,  # noqa: FBT003 - a default
        "In permissive mode, have sidecars count which requests TrafficTargets would refuse; "
        "without a TrafficTarget they count nothing.",
    )

    @property
    def scope(self) -> MeshScope:
        """The same, as the mesh is made with it."""
        return MeshScope(
            mesh_name=self.mesh_name,
            osm_namespace=self.osm_namespace,
            cross_namespace_egress=self.cross_namespace_egress == "allow",
            outside_endpoints=self.outside_endpoints == "allow",
            shadow_targets=self.shadow_targets,
        )
