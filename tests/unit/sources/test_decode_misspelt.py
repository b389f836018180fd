"""A misspelt field never opens anything: each field of each kind is misspelt in every near way, and
what is then allowed is a part of what was allowed before, with passthrough and without.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from support.objects import mesh_of, namespace
from support.oracle import allowed
from towpath.model.codes import Reason
from towpath.model.egress import Egress
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.planning.config import config
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.rules import rules
from towpath.sources.decode import decode

POLICY = "policy.openservicemesh.io/v1alpha1"
SPECS = "specs.smi-spec.io/v1alpha4"
ACCOUNTS = (Account("shop", "curl"), Account("shop", "wget"))

EGRESS: dict[str, Any] = {
    "apiVersion": POLICY,
    "kind": "Egress",
    "metadata": {"name": "out", "namespace": "shop"},
    "spec": {
        "sources": [{"kind": "ServiceAccount", "name": "curl", "namespace": "shop"}],
        "hosts": ["a.test"],
        "ipAddresses": ["192.0.2.0/24"],
        "ports": [
            {"number": 80, "protocol": "http"},
            {"number": 443, "protocol": "https"},
            {"number": 5432, "protocol": "tcp"},
        ],
        "matches": [
            {"apiGroup": SPECS, "kind": "HTTPRouteGroup", "name": "get"},
            {"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": "limits"},
        ],
    },
}
GROUP: dict[str, Any] = {
    "apiVersion": SPECS,
    "kind": "HTTPRouteGroup",
    "metadata": {"name": "get", "namespace": "shop"},
    "spec": {
        "matches": [
            {"name": "m", "pathRegex": "/public", "methods": ["GET"], "headers": [{"x-a": "1"}]}
        ]
    },
}
SETTING: dict[str, Any] = {
    "apiVersion": POLICY,
    "kind": "UpstreamTrafficSetting",
    "metadata": {"name": "limits", "namespace": "shop"},
    "spec": {
        "host": "a.test",
        "connectionSettings": {
            "tcp": {"maxConnections": 1, "connectTimeout": "1s"},
            "http": {
                "maxRequests": 1,
                "maxRequestsPerConnection": 1,
                "maxPendingRequests": 1,
                "maxRetries": 1,
            },
        },
    },
}
CONFIG: dict[str, Any] = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
    "spec": {
        "traffic": {"enableEgress": True, "enablePermissiveTrafficPolicyMode": True},
        "featureFlags": {"enableEgressPolicy": True},
    },
}
KINDS = (EGRESS, GROUP, SETTING, CONFIG)
ATTEMPTS = [
    Attempt(address, port, protocol, host, method, path)
    for address, (port, protocol), host, (method, path) in itertools.product(
        ("192.0.2.1", "198.51.100.1"),
        ((80, Protocol.HTTP), (443, Protocol.HTTPS), (5432, Protocol.TCP), (81, Protocol.HTTP)),
        ("a.test", "b.test"),
        (("GET", "/public"), ("GET", "/admin"), ("PUT", "/public")),
    )
]


def _spellings(name: str) -> Iterator[str]:
    """Every way to write *name* with one letter less, more, other, or two of them swapped, and in
    the singular or plural.
    """
    for at in range(len(name)):
        yield name[:at] + name[at + 1 :]
        yield name[:at] + "x" + name[at + 1 :]
        yield name[:at] + name[at].swapcase() + name[at + 1 :]
        yield name[:at] + name[at] + name[at:]
        yield name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :]
    yield f"{name}s"
    yield f"{name}es"
    yield name.removesuffix("s")
    yield name.removesuffix("es")


def _fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field below the spec, and of the spec."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        here = (*path, key)
        named = here[:1] == ("spec",) and isinstance(key, str) and "headers" not in path
        if named:
            yield here
        if isinstance(item, dict | list):
            yield from _fields(item, here)


def _with(raw: dict[str, Any], path: tuple[Any, ...], name: str, *, beside: bool) -> dict[str, Any]:
    """The object with the field at *path* under another name, or with that one beside it."""
    changed = copy.deepcopy(raw)
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    items = list(parent.items())
    parent.clear()
    for key, value in items:
        if key == path[-1]:
            parent[name] = value
        if key != path[-1] or beside:
            parent[key] = value
    return changed


def _misspelt(raw: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    for name in {*_spellings(path[-1])} - {path[-1], ""}:
        yield _with(raw, path, name, beside=False)
    yield _with(raw, path, f"{path[-1]}s", beside=True)


def _mesh(*objects: dict[str, Any]) -> tuple[Mesh, set[Reason]]:
    found = [decode(raw, "x.yaml:1") for raw in objects]
    values: list[Object] = [one.value for one in found if one.value is not None]
    return mesh_of(namespace(), *values), {p.reason for one in found for p in one.problems}


def _allows(mesh: Mesh) -> set[tuple[Account, Attempt]]:
    switches = config(mesh)
    return {
        (account, attempt)
        for account in ACCOUNTS
        for attempt in ATTEMPTS
        if allowed(rules(mesh, account), attempt, passthrough=switches.enable_egress)
    }


def _cases() -> Iterator[Any]:
    for raw in KINDS:
        for path in _fields(raw):
            yield pytest.param(raw, path, id=f"{raw['kind']}.{'.'.join(map(str, path))}")


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize(("raw", "path"), list(_cases()))
def test_what_a_misspelt_field_leaves_allowed_was_allowed(
    raw: dict[str, Any], path: tuple[Any, ...], *, passthrough: bool
) -> None:
    switches = copy.deepcopy(CONFIG)
    switches["spec"]["traffic"]["enableEgress"] = passthrough
    raw = switches if raw is CONFIG else raw
    others = [switches if kind is CONFIG else kind for kind in KINDS if kind["kind"] != raw["kind"]]
    whole, _ = _mesh(raw, *others)
    before = _allows(whole)
    assert any(attempt.path == "/public" for _, attempt in before)

    for changed in _misspelt(raw, path):
        mesh, said = _mesh(changed, *others)

        assert Reason.UNKNOWN_FIELD in said, changed
        assert _allows(mesh) <= before, changed
        assert config(mesh).permissive <= config(whole).permissive, changed


@pytest.mark.parametrize("field", ["host", "ipAddress", "match", "source", "port"])
def test_a_misspelt_list_of_a_policy_closes_it_and_its_hosts_stay_named(field: str) -> None:
    right = next(name for name in EGRESS["spec"] if name.startswith(field))
    changed = _with(EGRESS, ("spec", right), field, beside=False)
    value = decode(changed, "x.yaml:1").value

    assert isinstance(value, Egress)
    assert value.closed
    assert value.hosts == ("a.test",)
    assert value.sources == (ACCOUNTS[0],)
    assert len(value.ports) == 3
