"""What is refused, what a sidecar's resources are, and that two pods get the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from towpath.inject.pod import Injected, Installation, inject
from towpath.inject.refusal import Refused
from towpath.inject.review import LONGEST_WARNING
from towpath.inject.shape import checked
from towpath.model.injection import Resources, SidecarDefaults
from towpath.model.meshconfig import MeshConfig
from towpath.model.workloads import Namespace

PREFIX = "openservicemesh.io/"
INSTALLATION = Installation("1.2.3", "envoy", "init", {"static_resources": {}}, {})
DEFAULTS = SidecarDefaults()
RESOURCE = f"{PREFIX}sidecar-resource-"


def injected(
    *,
    annotations: dict[str, str] | None = None,
    namespace: dict[str, str] | None = None,
    config: SidecarDefaults = DEFAULTS,
    **spec: Any,
) -> Injected:
    containers = [{"name": "app", "image": "app"}]
    pod = {
        "metadata": {"annotations": annotations or {}},
        "spec": {"containers": containers, **spec},
    }
    of = Namespace("shop", "osm", annotations=tuple((namespace or {}).items()))
    return inject(checked(pod), of, MeshConfig(injection=config), INSTALLATION)


def injected_again(one: Injected) -> Any:
    return inject(checked(one.pod), Namespace("shop", "osm"), MeshConfig(), INSTALLATION).pod


def resources(one: Injected) -> Any:
    (envoy,) = [c for c in one.pod["spec"]["initContainers"] if c["name"] == "envoy"]
    return envoy["resources"]


@pytest.mark.parametrize(
    ("name", "text", "item"),
    [
        ("outbound-port-exclusion-list", "80,http", '"http"'),
        ("outbound-port-exclusion-list", "80,", '""'),
        ("inbound-port-exclusion-list", "65536", '"65536"'),
        ("inbound-port-exclusion-list", "$(id)", '"$(id)"'),
        ("outbound-ip-range-exclusion-list", "10.0.0.1", '"10.0.0.1"'),
        ("outbound-ip-range-exclusion-list", "fd00::/8", '"fd00::/8"'),
        ("outbound-ip-range-inclusion-list", "10.0.0.0/8,10.0.0.0/40", '"10.0.0.0/40"'),
        ("network-interface-exclusion-list", "eth0,a-name-too-long-", '"a-name-too-long-"'),
    ],
)
def test_a_bad_entry_of_a_list_is_refused_by_name(name: str, text: str, item: str) -> None:
    with pytest.raises(Refused, match="allowed: ") as refused:
        injected(annotations={f"{PREFIX}{name}": text})

    assert str(refused.value).startswith(f"annotation {PREFIX}{name} has {item}: allowed: ")


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_list_says_nothing(empty: str) -> None:
    rules = [
        injected(annotations=a).pod["metadata"]["annotations"][f"{PREFIX}redirect"]
        for a in ({}, {f"{PREFIX}outbound-port-exclusion-list": empty})
    ]
    assert rules[0] == rules[1]


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        ({"containers": [{"name": "envoy"}]}, "container envoy"),
        ({"initContainers": [{"name": "osm-init"}]}, "container osm-init"),
        ({"volumes": [{"name": "towpath", "emptyDir": {}}]}, "volume towpath"),
    ],
)
def test_a_pod_with_a_sidecar_of_its_own_is_refused(spec: dict[str, Any], taken: str) -> None:
    with pytest.raises(Refused) as refused:
        injected(**spec)

    assert f"its own {taken}" in str(refused.value)
    assert f'{PREFIX}sidecar-injection: "disabled"' in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"httpGet": {"port": "web"}}, '"web"'),
        ({"tcpSocket": {"port": 0}}, "0"),
        ({"grpc": {"port": 70000}}, "70000"),
        ({"grpc": {"port": "8" * 5_000}}, f'"{"8" * 60}"...'),
        ({"tcpSocket": {"port": "\uff18\uff10"}}, '"\uff18\uff10"'),
        ({"httpGet": {"path": "/"}}, "null"),
    ],
)
def test_a_probe_of_no_port_is_refused_by_name(asked: dict[str, Any], wrong: str) -> None:
    ports = [{"name": "http", "containerPort": 80}]
    app = {"name": "app", "ports": ports, "livenessProbe": asked}
    with pytest.raises(Refused) as refused:
        injected(containers=[app])

    (kind,) = asked
    where = f"livenessProbe.{kind}.port of container app is {wrong}: allowed: "
    assert str(refused.value).startswith(where)
    assert str(refused.value).endswith("(http)")


OWN_PORTS = (15000, 15001, 15003, 15010, 15901, 15902, 15903, 15904)


@pytest.mark.parametrize("port", OWN_PORTS)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
@pytest.mark.parametrize("protocol", [{}, {"protocol": "TCP"}, {"protocol": None}])
def test_a_container_with_a_port_of_the_sidecar_is_refused(
    port: int, field: str, protocol: dict[str, Any]
) -> None:
    taken = {"name": "taken", "ports": [{"containerPort": 80}, {"containerPort": port, **protocol}]}
    spec: dict[str, Any] = {"containers": [{"name": "app"}], field: [taken]}
    with pytest.raises(Refused) as refused:
        injected(**spec)

    ports = ", ".join(map(str, OWN_PORTS))
    allowed = f"allowed: any port but the sidecar's own, {ports}"
    assert f"container taken has the port {port}: {allowed}" == str(refused.value)


def test_a_port_beside_those_or_for_udp_is_none_of_the_sidecar() -> None:
    ports = [{"containerPort": 15001, "protocol": "UDP"}, {"containerPort": 15002}]
    one = injected(containers=[{"name": "app", "ports": ports}])

    assert () == one.remarks
    assert one.pod == injected_again(one)


@pytest.mark.parametrize("port", [15010, "15901", "metrics"])
@pytest.mark.parametrize("kind", ["httpGet", "tcpSocket", "grpc"])
def test_a_probe_of_a_port_of_the_sidecar_is_refused(port: int | str, kind: str) -> None:
    """The sidecar would answer for the application, whatever that does."""
    ports = [{"name": "metrics", "containerPort": 15904, "protocol": "UDP"}]
    app = {"name": "app", "ports": ports, "readinessProbe": {kind: {"port": port}}}
    with pytest.raises(Refused, match=f"readinessProbe.{kind}.port of container app is .*15001"):
        injected(containers=[app])


def test_a_pod_whose_sidecar_cannot_find_its_control_plane_is_refused() -> None:
    said = r'spec\.dnsPolicy is "Default", .*: allowed: ClusterFirst, or None '
    with pytest.raises(Refused, match=said):
        injected(dnsPolicy="Default")


def test_one_whose_sidecar_may_not_find_it_has_a_remark() -> None:
    one = injected(dnsPolicy="None", dnsConfig={"nameservers": ["10.1.1.1"]})

    (remark,) = one.remarks
    assert remark.startswith('spec.dnsPolicy is "None": the sidecar starts only if a nameserver ')
    assert len(f"towpath: {remark}") <= LONGEST_WARNING
    assert one.pod == injected_again(one)


@pytest.mark.parametrize("policy", [None, "ClusterFirst", "ClusterFirstWithHostNet"])
def test_others_find_it(policy: str | None) -> None:
    assert () == injected(dnsPolicy=policy).remarks


def test_the_sidecar_asks_for_the_path_that_the_kubelet_would_ask_for() -> None:
    asked = {"httpGet": {"port": 80, "path": "/größe/%c3%b6?a b#c"}}
    one = injected(containers=[{"name": "app", "livenessProbe": asked}])

    bootstrap = one.pod["metadata"]["annotations"][f"{PREFIX}bootstrap"]
    assert "/gr%C3%B6%C3%9Fe/%C3%B6?a%20b" in bootstrap
    assert "%20b%" not in bootstrap


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "pod",
        {},
        {"spec": None},
        {"spec": {"containers": {}}},
        {"spec": {"containers": [{"image": "x"}]}},
        {"spec": {"containers": []}, "metadata": {"annotations": {"a": 1}}},
        {"spec": {"containers": [{"name": "a", "livenessProbe": {"httpGet": 1}}]}},
    ],
)
def test_garbage_is_refused(raw: object) -> None:
    with pytest.raises(Refused, match="the pod "):
        checked(raw)


def test_annotations_win_over_the_namespace_that_wins_over_the_mesh() -> None:
    mesh = Resources((("cpu", "10m"), ("memory", "1Mi")), (("cpu", "1"), ("memory", "1Gi")))
    one = injected(
        config=SidecarDefaults(resources=mesh),
        namespace={f"{RESOURCE}limits-cpu": "2", f"{RESOURCE}requests-cpu": "20m"},
        annotations={
            f"{RESOURCE}limits-cpu": " 3 ",
            f"{RESOURCE}limits-ephemeral-storage": "1Gi",
        },
    )

    expected = {
        "requests": {"cpu": "20m", "memory": "1Mi"},
        "limits": {"cpu": "3", "memory": "1Gi", "ephemeral-storage": "1Gi"},
    }
    assert expected == resources(one)


def test_defaults_give_way_so_that_no_request_is_above_its_limit() -> None:
    less = injected(annotations={f"{RESOURCE}limits-memory": "64Mi"})
    more = injected(annotations={f"{RESOURCE}requests-memory": "1Gi"})

    assert ("64Mi", "64Mi") == tuple(resources(less)[k]["memory"] for k in ("requests", "limits"))
    assert ("1Gi", "1Gi") == tuple(resources(more)[k]["memory"] for k in ("requests", "limits"))
    with pytest.raises(Refused, match="requests cpu 2, more than its limit of 1"):
        injected(annotations={f"{RESOURCE}requests-cpu": "2", f"{RESOURCE}limits-cpu": "1"})


@pytest.mark.parametrize("whose", ["annotations", "namespace"])
def test_a_bad_amount_is_refused_by_name(whose: str) -> None:
    name = f"{RESOURCE}limits-memory"
    with pytest.raises(Refused) as refused:
        injected(**{whose: {name: "1 Gi"}})  # type: ignore[arg-type]

    owner = {"annotations": "the pod", "namespace": "namespace shop"}[whose]
    assert str(refused.value).startswith(f'annotation {name} of {owner} is "1 Gi": allowed: ')


def test_metrics_are_scraped_where_the_namespace_wants_them() -> None:
    wants = {f"{PREFIX}metrics": "enabled"}
    annotations = injected(namespace=wants).pod["metadata"]["annotations"]
    own = {"prometheus.io/scrape": "true", "prometheus.io/port": "80"}
    kept = injected(namespace=wants, annotations=own)

    assert "15010" == annotations["prometheus.io/port"]
    assert "/stats/prometheus" == annotations["prometheus.io/path"]
    assert own.items() <= kept.pod["metadata"]["annotations"].items()
    assert "prometheus.io/path" not in kept.pod["metadata"]["annotations"]
    assert 1 == len(kept.remarks)
    assert "prometheus.io/port" not in injected().pod["metadata"]["annotations"]


def test_what_a_pod_says_of_earlier_probes_is_believed_of_injected_ones_alone() -> None:
    """It says nothing of what is not there, and junk does no harm."""
    for text in ("[]", "{", '{"app": 1}', '{"app": {"livenessProbe": 1}}', '{"x": {}}'):
        annotations = {f"{PREFIX}original-probes": text}
        assert injected().pod == injected(annotations=annotations).pod
        again = injected().pod
        again["metadata"]["annotations"].update(annotations)
        of = Namespace("shop", "osm")
        assert injected().pod == inject(checked(again), of, MeshConfig(), INSTALLATION).pod


def test_two_pods_get_the_same() -> None:
    pods = [json.dumps(injected(hostname=name).pod) for name in ("a", "b")]

    assert pods[0].replace('"hostname": "a"', '"hostname": "b"') == pods[1]
