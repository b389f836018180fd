"""Generated TrafficTargets and calls, small pools so that much overlaps; by seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.dataplane.hosts import IN_MESH_FUZZ_PORTS
from support.dataplane.network import POD_ADDRESSES
from support.grants import Caller, Server
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

Document = dict[str, Any]

HTTP_A, HTTP_B, BYTES, GREETING = IN_MESH_FUZZ_PORTS
SERVER = Server(
    "bookstore",
    "bookstore",
    {HTTP_A: "http", HTTP_B: "http", BYTES: "tcp", GREETING: "tcp-server-first"},
)
BEHIND = {port - 6000: port for port in IN_MESH_FUZZ_PORTS}
"""The service's ports, and those of the pod that they lead to."""

CURL = Caller("curl", "curl", POD_ADDRESSES["curl"])
ALONE = {
    "a": Caller("curl", "a", "10.10.0.21"),
    "b": Caller("curl", "b", "10.10.0.22"),
    "c": Caller("bookstore", "c", "10.10.0.23"),
    "outsider": Caller("bank", "outsider", "10.10.0.24"),
}
"""Callers with an address of their own, of whose account `explain` is asked; none has a sidecar."""
TOGETHER = (
    Caller("curl", "a", "10.10.0.25"),
    Caller("curl", "b", "10.10.0.25"),
    Caller("curl", "a", "10.10.0.26", host_network=True),
)
"""Pods that share their address with others."""
FINISHED = (
    Caller("curl", "a", "10.10.0.28", finished=True),
    Caller("curl", "b", ALONE["a"].address, finished=True),
)
"""Pods that have ended; the address of one of them is another's by now."""
STRANGER = "10.10.0.27"
CALLERS = (CURL, *ALONE.values(), *TOGETHER, *FINISHED)
FOREIGN = tuple(sorted({one.address for one in CALLERS} - {CURL.address} | {STRANGER}))
MONITORED = frozenset({"curl", "bookstore"})

_NOBODYS = (*(one.address for one in TOGETHER), FINISHED[0].address, STRANGER)
_SOURCES = (("curl", "curl"), ("curl", "a"), ("curl", "b"), ("bookstore", "c"))
_GROUPS: Mapping[str, list[Document]] = {
    "g": [
        {"name": "m0", "pathRegex": "/a"},
        {"name": "m1", "pathRegex": "/b/.*", "methods": ["GET", "POST"]},
    ],
    "h": [
        {"name": "put", "pathRegex": "/.*", "methods": ["PUT"]},
        {"name": "user", "headers": {"X-User": "a+", "x-team": ".*"}},
        {"name": "host", "pathRegex": "/c", "headers": {"host": "shop.*"}},
    ],
    "any": [{"name": "all", "methods": ["*"]}],
    "bad": [
        {"name": "broken", "pathRegex": "("},
        {"name": "c", "pathRegex": "/c"},
        {"name": "get", "methods": ["get"]},
    ],
}
_NAMES = ("m0", "m1", "put", "user", "host", "all", "broken", "c", "gone")
_ROUTES: Mapping[str, list[Any]] = {
    "first": [HTTP_A, BYTES],
    "second": [HTTP_B, GREETING],
    "every": [],
    "broken": [0, "x", 70000],
    "half": [70000, BYTES],
}
_PATHS = ("/a", "/a?x=1", "/b/x", "/c", "/c?/a", "/a/", "/")
_FOLDED = ("/b/../a", "/b/%2e%2E/a", "/b//x", "/b/..;/a", "/b\\a", "/b/%255cx", "/b/.x", "/a#b")


@dataclass(frozen=True, slots=True)
class Call:
    """An attempt at a port of the pod, from an address; `account` is None where pods share it."""

    address: str
    caller: Caller | None
    port: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Case:
    """One set of targets, and calls. A marker among them makes its plan unlike any other: a grant
    to `a` of a path that no other case has.
    """

    seed: int
    documents: tuple[Document, ...]
    calls: tuple[Call, ...]

    @property
    def marker(self) -> str:
        return f"/marker-{self.seed}"


def case(seed: int, *, calls: int) -> Case:
    """The case of that seed, always the same."""
    dice = random.Random(seed)
    marker = _target(
        "marker", {"name": SERVER.account}, [("curl", "a")], [_rule("HTTPRouteGroup", "marker")]
    )
    marker_group = _object("HTTPRouteGroup", "marker", matches=[{"pathRegex": f"/marker-{seed}"}])
    groups = [_object("HTTPRouteGroup", name, matches=one) for name, one in _GROUPS.items()]
    routes = [_object("TCPRoute", name, matches={"ports": one}) for name, one in _ROUTES.items()]
    elsewhere = _object("HTTPRouteGroup", "gone", "curl", matches=[{"name": "gone"}])
    documents = [*_targets(dice), marker, marker_group, *groups, *routes, elsewhere]
    dice.shuffle(documents)
    return Case(seed, tuple(documents), tuple(_call(dice) for _ in range(calls)))


def _targets(dice: random.Random) -> Iterator[Document]:
    for number in range(dice.randint(1, 6)):
        chosen = dice.sample(_SOURCES, dice.randint(1, 3))
        rules = [_any_rule(dice) for _ in range(dice.choice((1, 1, 2, 2, 3)))]
        target = _target(f"t{number}", _destination(dice), chosen, rules)
        sources = target["spec"]["sources"]
        if dice.random() < 0.1:
            sources.append({"kind": "ServiceAccount", "name": "outsider", "namespace": "bank"})
        if dice.random() < 0.1:
            sources.append({"kind": "Group", "name": "b", "namespace": "curl"})
        if dice.random() < 0.05:
            sources.clear()
        if dice.random() < 0.05:
            rules.append(_rule("UDPRoute", "gone"))
        if dice.random() < 0.05:
            rules.clear()
        if dice.random() < 0.05:
            target["metadata"]["namespace"] = "curl"
        yield target


def _destination(dice: random.Random) -> Document:
    if dice.random() < 0.9:
        return {"name": SERVER.account, **dice.choice(({}, {"namespace": SERVER.namespace}))}
    wrong = ({"name": "other"}, {"name": SERVER.account, "namespace": "curl"})
    return dice.choice((*wrong, {"name": SERVER.account, "kind": "Service"}))


def _any_rule(dice: random.Random) -> Document:
    if dice.random() < 0.3:
        return _rule("TCPRoute", dice.choice((*_ROUTES, "every", "gone")))
    rule = _rule("HTTPRouteGroup", dice.choice((*_GROUPS, "g", "h", "any", "gone")))
    if dice.random() < 0.4:
        rule["matches"] = dice.sample(_NAMES, dice.randint(2, 5))
    return rule


def _call(dice: random.Random) -> Call:
    port = dice.choice((HTTP_A, HTTP_A, HTTP_B, BYTES, GREETING))
    own = dice.choice((CURL, CURL, *ALONE.values(), None))
    address = own.address if own else dice.choice(_NOBODYS)
    if SERVER.ports[port] == "http":
        attempt = _request(dice, port)
    else:
        attempt = Attempt(None, port, Protocol.TCP)
    return Call(address, own, port, attempt)


def _request(dice: random.Random, port: int) -> Attempt:
    host = dice.choice(("shop.test", "shop", "bank.test"))
    headers = dice.choice(
        ((), (("x-user", "aa"), ("X-Team", "t")), (("x-user", "aa"),), (("x-user", "b"),))
    )
    method, path = dice.choice(("GET", "GET", "PUT", "POST", "PATCH")), dice.choice(_PATHS)
    match dice.choice(("plain", "plain", "plain", "folded", "connect", "asterisk")):
        case "folded":
            path = dice.choice(_FOLDED)
        case "connect":
            method, path, host = "CONNECT", "", f"{host}:{port}"
        case "asterisk":
            method, path = "OPTIONS", dice.choice(("*", "/a"))
    return Attempt(None, port, Protocol.HTTP, host, method, path, headers)


def _rule(kind: str, name: str) -> Document:
    return {"kind": kind, "name": name}


def _target(
    name: str, destination: Document, sources: list[tuple[str, str]], rules: list[Document]
) -> Document:
    return _object(
        "TrafficTarget",
        name,
        destination={"kind": "ServiceAccount", **destination},
        sources=[
            {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            for namespace, account in sources
        ],
        rules=rules,
    )


def _object(kind: str, name: str, namespace: str = SERVER.namespace, /, **spec: Any) -> Document:
    group = "access.smi-spec.io/v1alpha3"
    version = group if kind == "TrafficTarget" else "specs.smi-spec.io/v1alpha4"
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
