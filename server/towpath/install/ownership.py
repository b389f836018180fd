"""Ownership: whose an object of the cluster is, by its labels, its annotations and its managers."""

from __future__ import annotations

from typing import Any

LABEL = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
"""On an object outside the control plane's namespace: the namespace of the one that made it."""
NAME = "towpath"
_RELEASE, _RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_FOREIGN_MANAGERS = ("helm", "osm", "fsm")
"""Field managers, or with a hyphen behind them their beginnings, of who never writes for us."""


def other_owner(record: Any, *, labelled: bool = True) -> str:
    """Whose the object is, in words; "" if it is ours.

    Ours has our label, and nobody has written to it who installs another product. *labelled* is
    false for what carries no label of ours; then only the marks of others count.
    """
    metadata = record["metadata"]
    if release := release_of(record):
        return f"of the {release}"
    name = (metadata.get("labels") or {}).get(LABEL)
    writers = managers(record)
    if name not in (None, NAME):
        return f"it has the label {LABEL}: {name}"
    if foreign := [one for one in writers if _is_foreign(one)]:
        return f"written by {', '.join(foreign)}"
    if labelled and name is None:
        by = f"; written by {', '.join(writers)}" if writers else ""
        return f"it has no label {LABEL}: {NAME}{by}"
    return ""


def release_of(record: Any) -> str:
    """The Helm release that an object is part of, in words; "" if there is none."""
    annotations = record["metadata"].get("annotations") or {}
    if _RELEASE not in annotations:
        return ""
    where = annotations.get(_RELEASE_NAMESPACE, "?")
    return f"Helm release {annotations[_RELEASE]} in {where}"


def managers(record: Any) -> list[str]:
    """Who has written to the object, but for its status; sorted."""
    entries = record["metadata"].get("managedFields") or ()
    return sorted({one.get("manager", "?") for one in entries if not one.get("subresource")})


def _is_foreign(manager: str) -> bool:
    return manager.lower().partition("-")[0] in _FOREIGN_MANAGERS
