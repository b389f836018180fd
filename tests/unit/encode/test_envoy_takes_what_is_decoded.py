"""Every value that the decoders let through is one that a real Envoy takes, for one and for all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from support.envoy_validation import add, empty_bootstrap, validate
from support.objects import mesh_config, mesh_of, namespace, pod, service
from towpath.hub.compose import snapshot
from towpath.model.egress import METHODS, HTTPRouteGroup, UpstreamTrafficSetting
from towpath.model.mesh import Object
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.sources.decode import decode

GROUP = "specs.smi-spec.io/v1alpha4"
POLICY = "policy.openservicemesh.io/v1alpha1"
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CASES = 60

EXPRESSIONS = (
    *("", ".*", "/", "(", "a{1000}", "(?:a{10}){10}", "(?:a{1,30}){1,30}", "a{1001}", "a" * 990),
    *(f"/users/{UUID}/orders/{UUID}", "[[:alpha:]]+", r"\pL\p{Greek}", "(?i)/ABC", "(?P<n>x)"),
    *("\x00", "\n", "/ü😀", "(?=x)", r"\C", r"\Q.*\E", "^$", "$^", "a**", "[]", "|", "a" * 1001),
    *("(?s).*", "(?U)a+", "x{0}", r"\x{10FFFF}", "é{40}", "[^a]{100}", "%", "%s"),
)
HEADERS = (
    *("X-Trace", "", "host", "Host", ":path", ":authority", "x y", "x\n", "ü", "x" * 256),
    *("x" * 257, "!#$%&'*+.^_`|~", "content-length", "transfer-encoding", "x_y", "a:b"),
)
HOSTS = (
    *("a.test", "A.test", "a.test.", "*.a.test", "*.a.test.", "*.test", "*", "*.", "", "a.test:80"),
    *("10.1.2.3", "1.2.3", "1", "a_b.test", "_a.test", "*._b.test", "x" * 63, "x" * 64, "-a.test"),
    *(".".join(["x" * 61] * 4), "*." + ".".join(["x" * 60] * 4), "xn--bcher-kva.test", "ü.test"),
    *("[::1]", "localhost", "a..test", ".", "a.test/", "*.1.2"),
)
RANGES = ("0.0.0.0/0", "10.0.0.5/8", "10.1.2.3/32", "255.255.255.255/32", "1.2.3.4", "x", "::/0")
PORTS = (0, 1, 80, 80, 443, 443, 15001, 15003, 65535, 65536, "80")
PROTOCOLS = ("http", "HTTP", "https", "tcp", "tcp-server-first", "grpc", "")
LIMITS = (-1, 0, 1, 2**31, 2**32 - 1, 2**32, 1.5, "1", None)
STATUSES = (None, 0, 200, 404, 418, 429, 503, 511, 599)
VALUES = ("", "1", "%", "%REQ(:path)%", "a b", "v" * 4096, "v" * 4097, "x\n", "ü", "\t")
TIMES = ("0s", "1ms", "0.1ms", "1h", "2h", "5", "1m2.5s", "", "-1s", "1e9s")


def test_a_real_envoy_takes_whatever_is_decoded(tmp_path: Path) -> None:
    bootstrap = empty_bootstrap()
    used = limited = 0
    for seed in range(CASES):
        values = _values(random.Random(seed))
        used += sum(len(v.matches) for v in values if isinstance(v, HTTPRouteGroup))
        limited += sum(_counts(v) for v in values if isinstance(v, UpstreamTrafficSetting))
        add(bootstrap, f"case-{seed}", _snapshot(*values))

    code, said = validate(bootstrap, tmp_path)

    assert code == 0, said[-2000:]
    assert used > CASES
    assert limited > CASES
    assert len(bootstrap.static_resources.listeners) > 2 * CASES


def test_a_real_envoy_takes_every_name_of_a_header_that_is_answered(tmp_path: Path) -> None:
    bootstrap = empty_bootstrap()
    for number, name in enumerate((*HEADERS, "HOST")):
        answer = {"responseHeadersToAdd": [{"name": name, "value": "1"}]}
        found = decode(_limits({"requests": 1, "unit": "second", **answer}, []), "s.yaml")
        assert isinstance(found.value, UpstreamTrafficSetting)
        assert _counts(found.value) == 1
        add(bootstrap, f"case-{number}", _snapshot(found.value))

    code, said = validate(bootstrap, tmp_path)

    assert code == 0, said[-2000:]


@pytest.mark.parametrize("header", ["X-Trace", "host"])
def test_an_empty_header_expression_allows_no_request_and_says_what_any_value_is(
    header: str,
) -> None:
    found = decode(_group({"headers": [{header: ""}]}), "g.yaml")

    assert isinstance(found.value, HTTPRouteGroup)
    assert found.value.matches == ()
    assert "characters; .* is any value" in found.problems[0].message


def test_a_path_of_two_uuids_is_let_through_and_taken(tmp_path: Path) -> None:
    path = f"/users/{UUID}/orders/{UUID}"
    group = decode(_group({"pathRegex": path}), "g.yaml")
    policy = decode(_egress(["a.test"], [], [{"number": 80, "protocol": "http"}]), "p.yaml")
    assert isinstance(group.value, HTTPRouteGroup)
    assert policy.value is not None
    assert group.problems == policy.problems == ()
    bootstrap = empty_bootstrap()
    add(bootstrap, "case", _snapshot(group.value, policy.value))

    code, said = validate(bootstrap, tmp_path)

    assert [match.path for match in group.value.matches] == [path]
    assert code == 0, said[-2000:]


def _values(dice: random.Random) -> list[Object]:
    ports = [
        {"number": dice.choice(PORTS), "protocol": dice.choice(PROTOCOLS)}
        for _ in range(dice.randint(2, 6))
    ]
    documents = [
        _egress(dice.sample(HOSTS, 8), dice.sample(RANGES, dice.choice((0, 0, 3))), ports),
        _egress(dice.sample(HOSTS, 4), [], ports, name="second"),
        _group(*(_match(dice) for _ in range(dice.randint(2, 8)))),
        _setting(dice),
        _limits(_limit(dice), [_route(dice) for _ in range(dice.randint(0, 3))]),
    ]
    found = [decode(document, "generated") for document in documents]
    return [one.value for one in found if one.value is not None]


def _match(dice: random.Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if dice.random() < 0.7:
        match["pathRegex"] = dice.choice(EXPRESSIONS)
    if dice.random() < 0.4:
        match["methods"] = dice.sample(METHODS, dice.randint(1, len(METHODS)))
    if dice.random() < 0.6:
        match["headers"] = [{dice.choice(HEADERS): dice.choice(EXPRESSIONS)} for _ in range(2)]
    return match


def _egress(
    hosts: list[str], ranges: list[str], ports: list[dict[str, Any]], *, name: str = "first"
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "sources": [{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}],
        "hosts": hosts,
        "ports": ports,
        "matches": [
            {"apiGroup": GROUP, "kind": "HTTPRouteGroup", "name": "group"},
            {"apiGroup": POLICY, "kind": "UpstreamTrafficSetting", "name": "setting"},
        ][: 1 if name == "first" else 2],
    }
    return _object(POLICY, "Egress", name, {**spec, **({"ipAddresses": ranges} if ranges else {})})


def _group(*matches: dict[str, Any]) -> dict[str, Any]:
    named = [{"name": f"m{n}", **match} for n, match in enumerate(matches)]
    return _object(GROUP, "HTTPRouteGroup", "group", {"matches": named})


def _setting(dice: random.Random) -> dict[str, Any]:
    tcp = {"maxConnections": dice.choice(LIMITS), "connectTimeout": dice.choice(TIMES)}
    names = ("maxRequests", "maxRequestsPerConnection", "maxPendingRequests", "maxRetries")
    http = {name: dice.choice(LIMITS) for name in names}
    settings = {"tcp": tcp, "http": http}
    spec = {"host": "a.test", "connectionSettings": settings}
    return _object(POLICY, "UpstreamTrafficSetting", "setting", spec)


def _limits(limit: dict[str, Any], routes: list[dict[str, Any]]) -> dict[str, Any]:
    """Rate limits of the Service that leads to the pod."""
    tcp = {"connections": 1, "unit": "second"}
    spec = {"host": "web", "rateLimit": {"local": {"http": limit, "tcp": tcp}}}
    return _object(POLICY, "UpstreamTrafficSetting", "rate", {**spec, "httpRoutes": routes})


def _route(dice: random.Random) -> dict[str, Any]:
    """Most of the expressions would close the whole setting."""
    path = dice.choice(EXPRESSIONS) if dice.random() < 0.2 else f"/{dice.randint(0, 9)}"
    return {"path": path, "rateLimit": {"local": _limit(dice)}}


def _limit(dice: random.Random) -> dict[str, Any]:
    headers = [
        {"name": dice.choice(HEADERS), "value": dice.choice(VALUES)}
        for _ in range(dice.randint(0, 12))
    ]
    return {
        "requests": dice.choice((1, 1, 2**31 - 1)),
        "unit": dice.choice(("second", "hour")),
        "burst": dice.choice((0, 1, 2**31 - 1)),
        "responseStatusCode": dice.choice(STATUSES),
        "responseHeadersToAdd": headers,
    }


def _counts(setting: UpstreamTrafficSetting) -> int:
    """How many limits of requests it comes to."""
    if setting.closed:
        return 0
    return len(setting.limits.routes) + (setting.limits.requests is not None)


def _object(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _snapshot(*objects: Object) -> Snapshot:
    mesh = mesh_of(namespace(), pod("web-1"), service("web"), mesh_config(policies=True), *objects)
    held = snapshot(mesh, ClientKind.ENVOY, SidecarId(pod="web-1", namespace="shop"))
    assert held is not None
    return held
