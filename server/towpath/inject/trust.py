"""Trust: whom the sidecars of injected pods take for the control plane, for as long as they live.

A pod keeps the roots that it was created with: before the server shows a certificate of another
root, each pod must have that one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from towpath import pem
from towpath.inject.names import BOOTSTRAP, MARK
from towpath.install.objects import listed
from towpath.kubeapi.client import KubeApi
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind
from towpath.sources.decode.core import ENDED, MONITORED_BY

if TYPE_CHECKING:
    from cryptography import x509

Trust = Mapping[str, tuple["x509.Certificate", ...]]
"""Roots by the pod that has them (`<namespace>/<name>`)."""


async def pods_trust(api: KubeApi, mesh_name: str) -> Trust:
    """Of every injected pod of that mesh's namespaces that has not ended; nothing where that cannot
    be read.

    Pods without a bootstrap of ours are not among them, nor are those of other namespaces, whose
    people could else keep a mesh from another authority.
    """
    selector = {"labelSelector": f"{MONITORED_BY}={mesh_name}"}
    namespaces = await listed(api, COLLECTIONS[Kind.NAMESPACE], selector)
    monitored = {namespace["metadata"]["name"] for namespace in namespaces}
    pods = await listed(api, COLLECTIONS[Kind.POD], {"labelSelector": MARK})
    roots = {}
    for pod in pods:
        metadata = pod["metadata"]
        if metadata["namespace"] not in monitored:
            continue
        bootstrap = (metadata.get("annotations") or {}).get(BOOTSTRAP)
        if bootstrap is not None and (pod.get("status") or {}).get("phase") not in ENDED:
            roots[f"{metadata['namespace']}/{metadata['name']}"] = _roots(bootstrap)
    return roots


def _roots(bootstrap: str) -> tuple[x509.Certificate, ...]:
    try:
        texts = tuple(_trusted(json.loads(bootstrap)))
        return tuple(one for text in texts for one in pem.certificates(text.encode(), BOOTSTRAP))
    except (ValueError, RecursionError):  # whoever makes a pod may write anything there
        return ()


def _trusted(value: Any) -> Iterator[str]:
    """Each `trusted_ca` that stands in the bootstrap itself."""
    if isinstance(value, list):
        for one in value:
            yield from _trusted(one)
    elif isinstance(value, dict):
        source = value.get("trusted_ca")
        if isinstance(source, dict) and isinstance(source.get("inline_string"), str):
            yield source["inline_string"]
        for one in value.values():
            yield from _trusted(one)
