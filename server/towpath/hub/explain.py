"""Explain: what becomes of one request, why, and what would let it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from towpath.model.egress import Egress
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, Protocol
from towpath.model.problem import Problem
from towpath.planning import outbound
from towpath.planning.config import config
from towpath.planning.egress.decide import Attempt, Decision, decide
from towpath.planning.egress.rules import naming, selecting

PORTS = {Protocol.HTTP: 80, Protocol.HTTPS: 443}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision; `policies` are all that speak for the account, each with where it was read (""
    where that is not known). `problems` are those of all that name it, also of those that may not
    speak for it.
    """

    attempt: Attempt
    decision: Decision
    policies: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def parse_attempt(
    target: str,
    *,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    address: str | None = None,
) -> Attempt:
    """Read `http://host[:port]/path`, `https://host[:port]`, `host:port` or `address:port`.

    The last two are connections of which nothing is known but where they go. *address* is what
    the client dials, if the host does not say it. Raises ValueError for anything else.
    """
    scheme, separator, _ = target.partition("://")
    url = urlsplit(target if separator else f"tcp://{target}")
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"{target!r}: the scheme is http or https, or none for plain TCP")
    protocol = Protocol(url.scheme)
    port = PORTS.get(protocol) if url.port is None else url.port
    if not url.hostname or not port or ":" in url.hostname:
        raise ValueError(f"{target!r} is not http://HOST, https://HOST, HOST:PORT or ADDRESS:PORT")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    dialled = _address(address) if address else _address(url.hostname, fallback=True)
    return Attempt(
        address=dialled,
        port=port,
        protocol=protocol,
        host="" if protocol is Protocol.HTTPS and _is_address(url.hostname) else url.hostname,
        method=method.upper(),
        path=path,
        headers=headers,
    )


def read_question(
    account: str, target: str, *, method: str, headers: Mapping[str, str], address: str
) -> tuple[Account, Attempt]:
    """Whose attempt, and which, as people type them; "" is «not said». Raises ValueError."""
    attempt = parse_attempt(
        target,
        method=method or "GET",
        headers=tuple(sorted(headers.items())),
        address=address or None,
    )
    return Account.parse(account), attempt


def explain(
    mesh: Mesh, account: Account, attempt: Attempt, problems: tuple[Problem, ...]
) -> Explanation:
    """Judge an attempt by the plan that the account's sidecars are sent."""
    dialled = _dialled(mesh, account, attempt)
    decision = decide(mesh.ask(outbound, account), dialled)
    if not mesh.monitored(account.namespace):
        why = f"namespace {account.namespace} is not part of mesh {mesh.mesh_name}"
        decision = replace(decision, reasons=(why, *decision.reasons))
    elif not decision.allowed and not config(mesh).enable_egress_policy:
        why = "egress policies are off (spec.featureFlags.enableEgressPolicy of the MeshConfig)"
        decision = replace(decision, reasons=(*decision.reasons, why))
    speaking = selecting(mesh, account)
    policies = tuple((policy.label, mesh.sources.get(policy.ref, "")) for policy in speaking)
    return Explanation(dialled, decision, policies, _about(naming(mesh, account), problems))


def _dialled(mesh: Mesh, account: Account, attempt: Attempt) -> Attempt:
    """With the address of an in-mesh service, if the host is one's name."""
    if attempt.address is not None:
        return attempt
    name, _, rest = attempt.host.removesuffix(".cluster.local").removesuffix(".svc").partition(".")
    service = mesh.service(rest or account.namespace, name)
    if service is None or not service.cluster_ips:
        return attempt
    return replace(attempt, address=service.cluster_ips[0])


def _about(policies: tuple[Egress, ...], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Problems of the policies, and of what those refer to."""
    objects = set()
    for policy in policies:
        objects.add(policy.ref)
        for name in policy.route_groups or ():
            objects.add(ObjectRef(Kind.HTTP_ROUTE_GROUP, policy.namespace, name))
        if policy.setting:
            objects.add(ObjectRef(Kind.UPSTREAM_TRAFFIC_SETTING, policy.namespace, policy.setting))
    return tuple(problem for problem in problems if problem.object in objects)


def _address(text: str, *, fallback: bool = False) -> str | None:
    if _is_address(text):
        return text
    if fallback:
        return None
    raise ValueError(f"{text!r} is not an IPv4 address")


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
