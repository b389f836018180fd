"""Suggest: the smallest Egress that would let a refused attempt out, as YAML ready to apply."""

from __future__ import annotations

import json
import re

from towpath.model.egress import ANY_METHOD, METHODS, is_host, is_numeric
from towpath.model.names import Account, Protocol
from towpath.model.paths import ANY_PATH
from towpath.model.ports import OUTBOUND_PORT
from towpath.model.snapshot import content_hash
from towpath.planning.egress.decide import Attempt, bare, foldable, malformed

LONGEST_PATH = 400
"""In bytes; an expression for a longer one may be more than a rule can have."""

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

_FOLDED = "    # A server may normalize the path to another one: this allows every path."
_WIDER = "    # The path is too long for one expression: this allows every path with that prefix."


def suggestion(account: Account, attempt: Attempt) -> str:
    """YAML of an Egress, with an HTTPRouteGroup for HTTP; "" if none could allow it.

    TLS without a name, and plain TCP, can only be allowed by address; so can a host that no
    policy can name. Of a very long path only the beginning is asked for; CONNECT, and a path that
    a server may fold, are only matched by a rule for any path.
    """
    if attempt.protocol is Protocol.HTTP and malformed(attempt):
        return ""
    where = nameable(attempt)
    if attempt.port == OUTBOUND_PORT or (not where and attempt.address is None):
        return ""
    name = name_for(account, attempt, where or f"{attempt.address}/32")
    namespace = text(account.namespace)
    head = _HEAD.format(name=name, namespace=namespace, account=text(account.name))
    lines = [head.rstrip()]
    protocol = attempt.protocol
    if where:
        lines += ["  hosts:", f"  - {text(where)}"]
    else:
        protocol = Protocol.TCP
        lines += ["  ipAddresses:", f"  - {attempt.address}/32"]
    lines += ["  ports:", f"  - number: {attempt.port}", f"    protocol: {protocol}"]
    if protocol is Protocol.HTTP:
        lines += ["  matches:", "  - apiGroup: specs.smi-spec.io/v1alpha4"]
        lines += ["    kind: HTTPRouteGroup", f"    name: {name}"]
        lines.append(route_group(name, account.namespace, attempt))
    return "\n".join(lines) + "\n"


def route_group(name: str, namespace: str, attempt: Attempt) -> str:
    """YAML of an HTTPRouteGroup for requests like this one, begun by `---`."""
    path, wider = _path(attempt)
    group = _GROUP.format(name=name, namespace=text(namespace), path=text(path))
    lines = [group.rstrip()]
    if wider:
        # Whoever applies it must know that it allows more than was asked for.
        lines.append(wider)
    if attempt.method in METHODS and attempt.method != ANY_METHOD:
        lines += ["    methods:", f"    - {attempt.method}"]
    return "\n".join(lines)


def _path(attempt: Attempt) -> tuple[str, str]:
    """The smallest expression that matches the path, and what is to be said of it."""
    path = attempt.path.partition("?")[0]
    if attempt.method == "CONNECT":
        return ANY_PATH, ""
    if foldable(path):
        return ANY_PATH, _FOLDED
    if len(path.encode()) > LONGEST_PATH:
        beginning = path.encode()[: LONGEST_PATH // 2].decode(errors="ignore")
        return f"{quoted(beginning)}.*", _WIDER
    return quoted(path), ""


def nameable(attempt: Attempt) -> str:
    """The host as a policy names it; "" where no policy can."""
    http = attempt.protocol is Protocol.HTTP
    host = bare(attempt.host, attempt.port) if http else attempt.host.lower()
    if attempt.protocol is Protocol.TCP or not is_host(host):
        return ""
    return "" if attempt.protocol is Protocol.HTTPS and is_numeric(host) else host


def name_for(account: Account, attempt: Attempt, where: str) -> str:
    """A name that Kubernetes takes; another attempt has another, so that neither is replaced."""
    word = re.sub(r"[^a-z0-9]+", "-", where.lower()).strip("-")
    parts = (str(account), where, attempt.protocol, attempt.method, attempt.path)
    digest = content_hash(*(part.encode() for part in parts))[:6]
    return f"allow-{word[:40].strip('-')}-{attempt.port}-{digest}"


def text(value: str) -> str:
    """A YAML string, whatever is in it: a plain 123 or true would be something else."""
    return json.dumps(value, ensure_ascii=False)


def quoted(path: str) -> str:
    """An expression that matches that path alone."""
    return re.sub(r"([!-,.:-@\[-^`{-~])", r"\\\1", path)
