"""The kubelet's probes and hooks, as the requests that they are."""

from __future__ import annotations

import pytest

from towpath.model.workloads import Pod, Probe
from towpath.sources.decode import decode

HEALTH = {"httpGet": {"path": "/health?full=1", "port": "http"}}


def probes(container: dict[str, object], **spec: object) -> tuple[Probe, ...]:
    raw = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", **container}], **spec},
    }
    value = decode(raw, "").value
    assert isinstance(value, Pod)
    return value.probes


@pytest.mark.parametrize(
    ("given", "probe"),
    [
        (HEALTH, Probe(8080, "GET", "/health")),
        ({"httpGet": {"port": 81}}, Probe(81, "GET", "/")),
        ({"httpGet": {"port": 81, "path": "ready"}}, Probe(81, "GET", "/ready")),
        ({"httpGet": {"port": "81", "scheme": "HTTPS"}}, Probe(81, "GET", "/", tls=True)),
        ({"tcpSocket": {"port": "http"}}, Probe(8080)),
        ({"grpc": {"port": 9000}}, Probe(9000, "POST", "/grpc.health.v1.Health/Check")),
    ],
)
@pytest.mark.parametrize("kind", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_a_probe_calls_a_port(kind: str, given: dict[str, object], probe: Probe) -> None:
    ports = [{"name": "http", "containerPort": 8080}]

    assert probes({"ports": ports, kind: given}) == (probe,)


@pytest.mark.parametrize(
    "given",
    [
        {"exec": {"command": ["true"]}},
        {"httpGet": {"port": "unknown"}},
        {"httpGet": {"port": 80, "host": "example.com"}},
        {"tcpSocket": {"port": 70000}},
        {"tcpSocket": {"port": "70000"}},
        {"tcpSocket": {"port": "8" * 5_000}},
        {"grpc": {"port": "0" * 5_000 + "80"}},
        {"httpGet": {"port": "\uff18\uff10"}},
        {"httpGet": {"port": "-80"}},
        {},
    ],
)
def test_what_calls_no_port_of_the_pod_is_none(given: dict[str, object]) -> None:
    assert probes({"livenessProbe": given}) == ()


@pytest.mark.parametrize("path", ["/warm up", "/warm%20up", "/warm%20up?now#here"])
@pytest.mark.parametrize("hook", ["postStart", "preStop"])
def test_a_path_is_what_is_sent(hook: str, path: str) -> None:
    called = {"httpGet": {"port": 80, "path": path}}

    assert (Probe(80, "GET", "/warm%20up"),) == probes({"lifecycle": {hook: called}})
    assert (Probe(80, "GET", "/warm%20up"),) == probes({"livenessProbe": called})


def test_a_path_of_other_letters_is_not_lost() -> None:
    called = {"httpGet": {"port": 80, "path": "/größe"}}

    assert (Probe(80, "GET", "/gr%C3%B6%C3%9Fe"),) == probes({"lifecycle": {"postStart": called}})


def test_hooks_and_sidecars_of_kubernetes_are_called_too_and_each_call_counts_once() -> None:
    ended = {"httpGet": {"port": 80, "path": "/end"}}
    sidecar = {"restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 15010}}}
    web = {"ports": [{"name": "http", "containerPort": 80}]}
    twice = {"livenessProbe": HEALTH, "readinessProbe": HEALTH}

    seen = probes({**web, **twice, "lifecycle": {"preStop": ended}}, initContainers=[sidecar])

    assert seen == (Probe(80, "GET", "/end"), Probe(80, "GET", "/health"), Probe(15010))
