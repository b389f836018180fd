"""Suggest: the IngressBackend that would let in a caller without a sidecar, as YAML to apply."""

from __future__ import annotations

from ipaddress import IPv4Address

from towpath.answers.answering import Answering
from towpath.answers.suggest import text
from towpath.model.mesh import Mesh
from towpath.model.names import Protocol
from towpath.model.snapshot import content_hash
from towpath.planning.config import config
from towpath.planning.egress.decide import Attempt, malformed
from towpath.planning.inbound import lets_in
from towpath.planning.inmesh.grants import by_policies

_HEAD = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: IngressBackend
metadata:
  name: {name}
  namespace: {namespace}
spec:
  backends:"""

_BACKEND = """\
  - name: {service}
    port:
      number: {port}
      protocol: http"""

_SOURCE = """\
  sources:
  # It lets in any request, of whoever calls from there.
  - kind: IPRange
    name: {address}/32
"""


def ingress_suggestion(
    mesh: Mesh, caller: IPv4Address, attempt: Attempt, answering: tuple[Answering, ...]
) -> str:
    """YAML of an IngressBackend for each namespace whose pods may answer; "" if none could help."""
    if attempt.protocol is not Protocol.HTTP or malformed(attempt):
        return ""
    if not config(mesh).enable_ingress_backend_policy or not (lets_in(mesh) or by_policies(mesh)):
        return ""
    backends = set()
    for one in answering:
        port = one.port
        if port is None or port.probes is not None or port.protocol is not Protocol.HTTP:
            return ""
        namespace, _, service = port.services[0].partition("/")
        backends.add((namespace, service, port.port))
    return "---\n".join(
        _document(namespace, caller, [of[1:] for of in sorted(backends) if of[0] == namespace])
        for namespace in sorted({of[0] for of in backends})
    )


def _document(namespace: str, caller: IPv4Address, backends: list[tuple[str, int]]) -> str:
    digest = content_hash(repr((namespace, str(caller), backends)).encode())[:6]
    service, number = backends[0]
    name = f"allow-{service[:40].strip('-')}-{number}-{digest}"
    lines = [_HEAD.format(name=name, namespace=text(namespace))]
    lines += [_BACKEND.format(service=text(of), port=port) for of, port in backends]
    return "\n".join([*lines, _SOURCE.format(address=caller)])
