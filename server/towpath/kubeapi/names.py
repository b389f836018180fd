"""Names of an installation's objects that are in no namespace."""

from __future__ import annotations

from towpath.settings import MeshSettings

NAME = "towpath"


def cluster_wide_name(namespace: str) -> str:
    """What the roles and the webhook of the installation in *namespace* are called."""
    return NAME if namespace == MeshSettings().osm_namespace else f"{NAME}-{namespace}"
