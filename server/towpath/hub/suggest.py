"""Suggest: the smallest Egress that would let a refused attempt out, as YAML ready to apply."""

from __future__ import annotations

import json
import re

from towpath.model.names import Account, Protocol
from towpath.planning.egress.decide import Attempt

_HEAD = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata:
  name: {name}
  namespace: {namespace}
spec:
  sources:
  - kind: ServiceAccount
    name: {account}
    namespace: {namespace}
"""

_GROUP = """\
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata:
  name: {name}
  namespace: {namespace}
spec:
  matches:
  - name: request
    pathRegex: {path}
    methods:
    - {method}
"""


def suggestion(account: Account, attempt: Attempt) -> str:
    """YAML of an Egress, with an HTTPRouteGroup for HTTP; "" if none could allow it.

    TLS without a name, and plain TCP, can only be allowed by address.
    """
    where = attempt.host if attempt.protocol is not Protocol.TCP else ""
    if not where and attempt.address is None:
        return ""
    name = _name(where or attempt.address or "", attempt.port)
    lines = [_HEAD.format(name=name, namespace=account.namespace, account=account.name).rstrip()]
    protocol = attempt.protocol
    if where:
        lines += ["  hosts:", f"  - {json.dumps(where.lower())}"]
    else:
        protocol = Protocol.TCP
        lines += ["  ipAddresses:", f"  - {attempt.address}/32"]
    lines += ["  ports:", f"  - number: {attempt.port}", f"    protocol: {protocol}"]
    if protocol is Protocol.HTTP:
        lines += ["  matches:", "  - apiGroup: specs.smi-spec.io/v1alpha4"]
        lines += ["    kind: HTTPRouteGroup", f"    name: {name}"]
        path = json.dumps(_quoted(attempt.path.partition("?")[0]))
        group = _GROUP.format(
            name=name, namespace=account.namespace, path=path, method=attempt.method
        )
        lines.append(group.rstrip())
    return "\n".join(lines) + "\n"


def _name(where: str, port: int) -> str:
    """A name that Kubernetes takes, made of what is allowed."""
    word = re.sub(r"[^a-z0-9]+", "-", where.lower()).strip("-")
    return f"allow-{word[:40].strip('-')}-{port}"


def _quoted(path: str) -> str:
    """The path as an RE2 expression that matches it alone."""
    return re.sub(r"([!-,.:-@\[-^`{-~])", r"\\\1", path)
