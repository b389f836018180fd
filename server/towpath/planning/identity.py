"""Identity: which pods take part in mutual TLS, as whom, and what their namespaces say of it.

A pod takes part if it carries the mark: its sidecar then takes mutual TLS from its first listener
on, so that whoever sees the mark may use it. Without an authority nothing is encrypted.
"""

from __future__ import annotations

from typing import cast

from towpath.model.identity import MtlsMode
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind
from towpath.model.workloads import EndpointSlice, Namespace, Pod
from towpath.planning.config import config

MARK = ("openservicemesh.io/mtls", "1")
"""The label of a pod whose sidecar takes mutual TLS; it is there from the pod's creation on."""

Marked = tuple[tuple[str, Account], ...]
"""Addresses that take mutual TLS, each with an account that answers there, sorted."""


def mode(mesh: Mesh, namespace: str) -> MtlsMode:
    """What holds for the marked pods of that namespace: what it says itself comes first.

    Who says something that cannot be understood meant more than nothing: he is called by mutual TLS
    also where the rest of the mesh is not.
    """
    record = cast("Namespace | None", mesh.get(Kind.NAMESPACE, "", namespace))
    of_mesh = config(mesh).mtls
    if record is None:
        return of_mesh
    if record.mtls_unclear and of_mesh is MtlsMode.DISABLED:
        return MtlsMode.PERMISSIVE
    return record.mtls or of_mesh


def identity_of(mesh: Mesh, pod: Pod) -> Account | None:
    """As whom the pod's sidecar calls and answers by mutual TLS; None if it does neither."""
    if MARK not in pod.labels or not mesh.monitored(pod.namespace):
        return None
    return pod.account if mesh.query(_has_certificate, pod.account) else None


def marked(mesh: Mesh, slice_: EndpointSlice) -> Marked:
    """Of a slice's addresses those that are called by mutual TLS.

    One that several pods have, as in the network of a node, is one only if all of them are marked.
    """
    if not mesh.query(has_authority) or mesh.query(mode, slice_.namespace) is MtlsMode.DISABLED:
        return ()
    answering = (
        (address, account)
        for address in (*slice_.addresses, *slice_.ending)
        for account in _answering(mesh, slice_.namespace, address)
    )
    return tuple(sorted(set(answering)))


def accounts_behind(mesh: Mesh, namespace: str, service: str) -> tuple[Account, ...]:
    """Who may answer for a service by mutual TLS, sorted.

    Those of its pods that end are among them: connections to these are still made meanwhile.
    """
    slices = mesh.slices(namespace, service)
    accounts = {account for one in slices for _, account in mesh.query(marked, one)}
    return tuple(sorted(accounts))


def _answering(mesh: Mesh, namespace: str, address: str) -> set[Account]:
    pods = mesh.pods_at(address)
    whole = all(pod.namespace == namespace and MARK in pod.labels for pod in pods)
    return {pod.account for pod in pods} if whole else set()


def has_authority(mesh: Mesh) -> bool:
    """True if there is somebody who gives certificates to accounts."""
    return mesh.roots() is not None


def _has_certificate(mesh: Mesh, account: Account) -> bool:
    return mesh.query(has_authority) and mesh.leaf(account) is not None
