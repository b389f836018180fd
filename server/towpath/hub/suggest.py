"""Suggest: the smallest Egress that would let a refused attempt out, as YAML ready to apply."""

from __future__ import annotations

import json
import re

from towpath.model.egress import ANY_METHOD, METHODS, OUTBOUND_PORT, is_host, is_numeric
from towpath.model.names import Account, Protocol
from towpath.model.snapshot import content_hash
from towpath.planning.egress.decide import Attempt

_LONGEST_PATH = 90
"""In bytes; an expression for a longer one is more than a sidecar takes."""

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
"""

_WIDER = "    # The path is too long for one expression: this allows every path that begins so."


def suggestion(account: Account, attempt: Attempt) -> str:
    """YAML of an Egress, with an HTTPRouteGroup for HTTP; "" if none could allow it.

    TLS without a name, and plain TCP, can only be allowed by address; so can a host that no
    policy can name. Of a very long path only the beginning is asked for.
    """
    where = _nameable(attempt)
    if attempt.port == OUTBOUND_PORT or (not where and attempt.address is None):
        return ""
    name = _name(account, attempt, where or f"{attempt.address}/32")
    namespace = _text(account.namespace)
    head = _HEAD.format(name=name, namespace=namespace, account=_text(account.name))
    lines = [head.rstrip()]
    protocol = attempt.protocol
    if where:
        lines += ["  hosts:", f"  - {_text(where)}"]
    else:
        protocol = Protocol.TCP
        lines += ["  ipAddresses:", f"  - {attempt.address}/32"]
    lines += ["  ports:", f"  - number: {attempt.port}", f"    protocol: {protocol}"]
    if protocol is Protocol.HTTP:
        lines += ["  matches:", "  - apiGroup: specs.smi-spec.io/v1alpha4"]
        lines += ["    kind: HTTPRouteGroup", f"    name: {name}"]
        path = _text(_expression(attempt.path.partition("?")[0]))
        lines.append(_GROUP.format(name=name, namespace=namespace, path=path).rstrip())
        if _is_long(attempt):
            # Whoever applies it must know that it allows more than was asked for.
            lines.append(_WIDER)
        if attempt.method in METHODS and attempt.method != ANY_METHOD:
            lines += ["    methods:", f"    - {attempt.method}"]
    return "\n".join(lines) + "\n"


def _is_long(attempt: Attempt) -> bool:
    return len(attempt.path.partition("?")[0].encode()) > _LONGEST_PATH


def _nameable(attempt: Attempt) -> str:
    """The host as a policy names it; "" where no policy can."""
    host = attempt.host.lower()
    if attempt.protocol is Protocol.TCP or not is_host(host):
        return ""
    return "" if attempt.protocol is Protocol.HTTPS and is_numeric(host) else host


def _name(account: Account, attempt: Attempt, where: str) -> str:
    """A name that Kubernetes takes; another attempt has another, so that neither is replaced."""
    word = re.sub(r"[^a-z0-9]+", "-", where.lower()).strip("-")
    parts = (str(account), where, attempt.protocol, attempt.method, attempt.path)
    digest = content_hash(*(part.encode() for part in parts))[:6]
    return f"allow-{word[:40].strip('-')}-{attempt.port}-{digest}"


def _text(text: str) -> str:
    """A YAML string, whatever is in it: a plain 123 or true would be something else."""
    return json.dumps(text, ensure_ascii=False)


def _expression(path: str) -> str:
    """An RE2 expression that matches the path alone, or all that begin with it if it is long."""
    if len(path.encode()) <= _LONGEST_PATH:
        return _quoted(path)
    return _quoted(path.encode()[: _LONGEST_PATH // 2].decode(errors="ignore")) + ".*"


def _quoted(path: str) -> str:
    return re.sub(r"([!-,.:-@\[-^`{-~])", r"\\\1", path)
