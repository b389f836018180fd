"""Explain: what becomes of one request, why, and what would let it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import cast
from urllib.parse import SplitResult, urlsplit

from towpath.answers.dialled import address_of
from towpath.answers.effect import Policy, references
from towpath.answers.encryption import Passage, passage
from towpath.answers.inmesh import (
    at_servers,
    divided,
    in_mesh_but_refused,
    unguarded,
    without_permissive_mode,
)
from towpath.answers.suggest import suggestion
from towpath.answers.suggest_inside import suggestion_inside
from towpath.model.addresses import is_ipv4
from towpath.model.inmesh import TrafficTarget
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, ObjectRef, Protocol
from towpath.model.plan import Destination
from towpath.model.problem import Problem
from towpath.planning import outbound
from towpath.planning.config import config
from towpath.planning.destinations import directory
from towpath.planning.egress.accounts import exists
from towpath.planning.egress.decide import (
    Attempt,
    Decision,
    bare,
    by_range,
    decide,
    dialled_destination,
)
from towpath.planning.egress.rules import naming, selecting

PORTS = {Protocol.HTTP: 80, Protocol.HTTPS: 443}
_SHOWN_RANGES = 5


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision; `policies` are all that speak for the account, each with where it was read (""
    where that is not known). `problems` are those of all that name it, also of those that may not
    speak for it. `suggestion` is a policy that would allow what is refused, as YAML; "" if none.
    """

    attempt: Attempt
    decision: Decision
    policies: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]
    suggestion: str


def parse_attempt(
    target: str,
    *,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    address: str | None = None,
) -> Attempt:
    """Read `http://host[:port]/path`, `https://host[:port]`, `host:port` or `address:port`.

    The last two are connections of which nothing is known but where they go. `http://host*` with
    the method OPTIONS asks for `*`. *address* is what the client dials, if the host does not say
    it. Raises ValueError for anything else.
    """
    scheme, separator, rest = target.partition("://")
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"{target!r}: the scheme is http or https, or none for plain TCP")
    if "#" in target:
        raise ValueError(f"{target!r}: what follows # is never sent; in a path it is written %23")
    asterisk = method.upper() == "OPTIONS" and scheme == "http" and rest.endswith("*")
    asterisk = asterisk and "/" not in rest
    whole = target.removesuffix("*") if asterisk else target
    url = urlsplit(whole if separator else f"tcp://{target}")
    protocol = Protocol(url.scheme)
    port = PORTS.get(protocol) if url.port is None else url.port
    if not url.hostname or not port or ":" in url.hostname:
        raise ValueError(f"{target!r} is not http://HOST, https://HOST, HOST:PORT or ADDRESS:PORT")
    path = "*" if asterisk else (url.path or "/") + (f"?{url.query}" if url.query else "")
    if any(not "!" <= character <= "~" for character in path):
        raise ValueError(f"{target!r}: of a path, other characters than ! to ~ are sent as %XX")
    fields = {name.lower(): value for name, value in headers}
    host = fields.pop("host", "") or _host(url, protocol, port, method.upper())
    dialled = _address(address) if address else _address(url.hostname, fallback=True)
    return Attempt(
        address=dialled,
        port=port,
        protocol=protocol,
        host=host,
        method=method.upper(),
        path="" if method.upper() == "CONNECT" else path,
        headers=tuple(fields.items()),
    )


def _host(url: SplitResult, protocol: Protocol, port: int, method: str) -> str:
    """What a client says of the host: as it was typed, and without a port that goes without
    saying. TLS names no address, and no final dot.
    """
    typed = url.netloc.rpartition("@")[2]
    name = typed.removesuffix(f":{url.port}") if url.port else typed
    match protocol:
        case Protocol.HTTPS:
            return "" if is_ipv4(name) else name.removesuffix(".")
        case Protocol.HTTP if method == "CONNECT" or port != PORTS[protocol]:
            return f"{name}:{port}"
        case _:
            return name


def read_question(
    caller: str, target: str, *, method: str, headers: Mapping[str, str], address: str
) -> tuple[Account | IPv4Address, Attempt]:
    """Whose attempt, and which, as people type them; "" is «not said». Raises ValueError."""
    attempt = parse_attempt(
        target,
        method=method or "GET",
        headers=tuple(sorted(headers.items())),
        address=address or None,
    )
    return _caller(caller), attempt


def _caller(text: str) -> Account | IPv4Address:
    if is_ipv4(text):
        return IPv4Address(text)
    try:
        return Account.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor an IPv4 address") from None


def explain(
    mesh: Mesh, account: Account, attempt: Attempt, problems: tuple[Problem, ...]
) -> Explanation:
    """Judge an attempt by the plan that the account's sidecars are sent.

    Raises ValueError if it hangs on the address, and that is not known.
    """
    dialled = attempt
    if attempt.address is None:
        dialled = replace(attempt, address=address_of(mesh, account, attempt))
    plan = mesh.query(outbound, account)
    decision = decide(plan, dialled)
    destination = dialled_destination(plan, dialled)
    inside = (dialled.port, dialled.address) in mesh.query(directory).dialled
    if destination is not None and decision.allowed:
        decision = _inside(mesh, account, dialled, destination, decision)
    elif inside and not decision.allowed and destination is None:
        decision = Decision(None, (), in_mesh_but_refused(mesh, account, dialled))
    if dialled.address is None:
        _settled(by_range(plan, dialled), decision, dialled)
    first, last = [], []
    if not mesh.monitored(account.namespace):
        label = f"its label would be openservicemesh.io/monitored-by: {mesh.mesh_name}"
        first.append(f"namespace {account.namespace} is not part of mesh {mesh.mesh_name}; {label}")
    elif not exists(mesh, account):
        first.append(f"there is no service account {account}, and no pod that runs as it")
    if not (decision.allowed or inside) and not config(mesh).enable_egress_policy:
        last.append(
            "egress policies are off: without spec.featureFlags.enableEgressPolicy of the "
            "MeshConfig none would allow it"
        )
    useless = decision.allowed or inside or last or not mesh.monitored(account.namespace)
    written = "" if useless else suggestion(account, dialled)
    if inside and not decision.allowed:
        written = suggestion_inside(mesh, account, dialled)
    speaking = selecting(mesh, account)
    source = ("source", account.namespace, account.name)
    targets = cast("tuple[TrafficTarget, ...]", mesh.group(Kind.TRAFFIC_TARGET, source))
    return Explanation(
        attempt=dialled,
        decision=replace(decision, reasons=(*first, *decision.reasons, *last)),
        policies=tuple((policy.label, mesh.sources.get(policy.ref, "")) for policy in speaking),
        problems=_about(targets if inside else naming(mesh, account), problems),
        suggestion=written,
    )


def _inside(
    mesh: Mesh, account: Account, dialled: Attempt, destination: Destination, let_out: Decision
) -> Decision:
    """What becomes of an attempt that the client's sidecar lets out to a destination."""
    decision = at_servers(mesh, account, dialled, destination) or let_out
    remarks = (
        unguarded(mesh, account, dialled, destination),
        divided(mesh, account, dialled, destination),
        without_permissive_mode(mesh, account, dialled, destination),
    )
    decision = replace(decision, reasons=(*decision.reasons, *filter(None, remarks)))
    if not decision.allowed:
        return decision
    return _passing(decision, passage(mesh, account, dialled, destination))


def _passing(decision: Decision, way: Passage) -> Decision:
    """The decision with what is said of the connection's encryption."""
    reasons = (*decision.reasons, way.reason)
    return Decision(None, (), reasons) if way.refused else replace(decision, reasons=reasons)


def _settled(ranges: tuple[tuple[str, Decision], ...], rest: Decision, attempt: Attempt) -> None:
    """Raise ValueError unless every address has the same answer."""
    others = [range_ for range_, decision in ranges if decision.allowed != rest.allowed]
    if not others:
        return
    shown = ", ".join(others[:_SHOWN_RANGES]) + (" and more" if others[_SHOWN_RANGES:] else "")
    here, there = ("allowed", "refused") if rest.allowed else ("refused", "allowed")
    host = bare(attempt.host, attempt.port)
    raise ValueError(
        f"{host}:{attempt.port} depends on the address that is dialled, {there} in {shown} and "
        f"{here} elsewhere: give --address"
    )


def _about(policies: Iterable[Policy], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Problems of the policies, and of what those refer to."""
    objects = set()
    for policy in policies:
        objects.add(policy.ref)
        objects |= {ObjectRef(kind, policy.namespace, name) for kind, name in references(policy)}
    return tuple(problem for problem in problems if problem.object in objects)


def _address(text: str, *, fallback: bool = False) -> str | None:
    if is_ipv4(text):
        return text
    if fallback:
        return None
    raise ValueError(f"{text!r} is not an IPv4 address")
