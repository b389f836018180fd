"""What a MeshConfig says of injected sidecars: what is wrong is left out, and never opens."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.model.injection import RedirectLists, Resources, SidecarDefaults
from towpath.model.meshconfig import MeshConfig
from towpath.sources.decode import decode
from towpath.sources.decode.quantity import quantity

RAW = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
}
EXCLUDED, INCLUDED = "outboundIPRangeExclusionList", "outboundIPRangeInclusionList"


def read(**spec: Any) -> tuple[SidecarDefaults, dict[str, str]]:
    """What is meant, and by field what is wrong."""
    decoded = decode({**RAW, "spec": spec}, "")
    assert isinstance(decoded.value, MeshConfig)
    problems = {p.field.removeprefix("spec."): p.message for p in decoded.problems}
    assert len(problems) == len(decoded.problems)
    return decoded.value.injection, problems


def test_all_of_it_is_read() -> None:
    defaults, problems = read(
        sidecar={
            "enablePrivilegedInitContainer": True,
            "sidecarImage": "registry.test/envoyproxy/envoy:distroless-v1.40.0",
            "initContainerImage": "openservicemesh/init:v1.2.4",
            "resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "0.5"}},
        },
        traffic={
            "interceptionMode": "none",
            EXCLUDED: ["10.1.0.0/16", "10.0.0.0/16", "10.1.0.0/16"],
            INCLUDED: ["10.0.0.0/8"],
            "outboundPortExclusionList": [443, 25],
            "inboundPortExclusionList": [9090],
            "networkInterfaceExclusionList": ["eth1", "docker+"],
        },
    )

    assert {} == problems
    expected = SidecarDefaults(
        image="registry.test/envoyproxy/envoy:distroless-v1.40.0",
        init_image="openservicemesh/init:v1.2.4",
        resources=Resources((("cpu", "0.5"),), (("cpu", "1"), ("memory", "1Gi"))),
        privileged_init=True,
        redirects=False,
        lists=RedirectLists(
            excluded_outbound_ports=(25, 443),
            excluded_inbound_ports=(9090,),
            excluded_ranges=("10.0.0.0/16", "10.1.0.0/16"),
            included_ranges=("10.0.0.0/8",),
            excluded_interfaces=("docker+", "eth1"),
        ),
    )
    assert expected == defaults


def test_a_sidecar_calls_the_pods_address_where_an_init_container_can_set_that() -> None:
    without = {"interceptionMode": "none"}
    cases = [("Localhost", {}), ("", {}), ("PodIP", {}), ("PodIP", without), ("podip", {})]
    results = [read(sidecar={"localProxyMode": mode}, traffic=more) for mode, more in cases]

    assert [False, False, True, False, False] == [one.calls_pod_ip for one, _ in results]
    wrong = [problems.get("sidecar.localProxyMode", "") for _, problems in results]
    assert ["", "", ""] == wrong[:3]
    assert 'is "PodIP": it has no effect with interceptionMode none' in wrong[3]
    assert 'is "podip"; allowed: "", "Localhost", "PodIP"' in wrong[4]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("outboundPortExclusionList", [0, 65536, "x", True, 1.5, None, "$(id)"]),
        ("inboundPortExclusionList", [-1, {}, []]),
        (EXCLUDED, ["10.0.0.1", "fd00::/8", "10.0.0.0/33", "$(id)", 10, "10.0.0.0/255.0.0.0", ""]),
        ("networkInterfaceExclusionList", ["", "x" * 16, "a b", "-o", "eth0\n-F", "$(id)", "a/b"]),
    ],
)
def test_of_what_passes_by_a_bad_entry_is_left_out(name: str, bad: list[Any]) -> None:
    defaults, problems = read(traffic={name: bad})

    assert SidecarDefaults() == defaults
    assert [f"traffic.{name}[{index}]" for index in range(len(bad))] == [*problems]
    assert all("; allowed: " in text and "it is left out" in text for text in problems.values())


def test_a_good_entry_beside_a_bad_one_keeps_its_meaning() -> None:
    defaults, problems = read(traffic={EXCLUDED: ["10.0.0.0/8", "fd00::/8"]})

    assert ("10.0.0.0/8",) == defaults.lists.excluded_ranges
    assert [f"traffic.{EXCLUDED}[1]"] == [*problems]


@pytest.mark.parametrize("bad", [["10.0.0.0/8", "fd00::/8"], ["x"], "10.0.0.0/8", {"a": 1}])
def test_of_what_alone_goes_through_a_bad_entry_closes_all(bad: object) -> None:
    defaults, problems = read(traffic={INCLUDED: bad})

    assert () == defaults.lists.included_ranges
    why = problems.popitem()[1]
    assert "everything goes through the sidecar" in why or "it is not used" in why


def test_an_address_with_the_length_of_a_network_never_lets_more_pass_by() -> None:
    defaults, problems = read(traffic={EXCLUDED: ["10.0.0.5/24"], INCLUDED: ["10.9.0.5/24"]})

    assert ("10.0.0.5/32",) == defaults.lists.excluded_ranges
    assert ("10.9.0.0/24",) == defaults.lists.included_ranges
    assert {f"traffic.{EXCLUDED}[0]", f"traffic.{INCLUDED}[0]"} == {*problems}


@pytest.mark.parametrize("mode", ["ebpf", "None", 1])
def test_another_way_to_the_sidecar_is_no_reason_to_leave_the_redirect_out(mode: object) -> None:
    defaults, problems = read(traffic={"interceptionMode": mode})

    assert defaults.redirects
    assert (
        'allowed: "", "iptables", "none"; "iptables" is used'
        in problems["traffic.interceptionMode"]
    )


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("envoyproxy/envoy:v1.22.2", "cannot log in"),
        ("envoyproxy/envoy-alpine:v1.19.3@sha256:0123", "cannot log in"),
        ("localhost:5000/envoy:distroless-v1.29.9", "cannot log in"),
        ("envoyproxy/envoy:contrib-debug-v1.9.0", "cannot log in"),
        ("flomesh/pipy:0.90.2-25", "a Pipy is not injected"),
        ("flomesh/pipy-nightly", "a Pipy is not injected"),
        ("$(id)", "allowed: the name of an image"),
        ("a b", "allowed: the name of an image"),
        (5, "allowed: a string"),
    ],
)
@pytest.mark.parametrize("name", ["sidecarImage", "envoyImage"])
def test_an_image_that_could_not_log_in_is_not_used(name: str, image: object, why: str) -> None:
    defaults, problems = read(sidecar={name: image})

    assert "" == defaults.image
    assert why in problems[f"sidecar.{name}"]


@pytest.mark.parametrize(
    "image",
    [
        "envoyproxy/envoy:v1.30.0",
        "envoyproxy/envoy:distroless-v1.40.0",
        "envoyproxy/envoy:v2.0.0",
        "envoyproxy/envoy@sha256:0123",
        "mirror.test:5000/team/envoy:stable",
        "envoy",
    ],
)
def test_an_image_that_may_be_able_to_is(image: str) -> None:
    older = "envoyproxy/envoy:v1.22.2"
    assert (image, {}) == ((r := read(sidecar={"envoyImage": image}))[0].image, r[1])
    assert image == read(sidecar={"sidecarImage": image, "envoyImage": older})[0].image
    assert image == read(sidecar={"sidecarImage": older, "envoyImage": image})[0].image


def test_a_bad_amount_is_left_out_and_so_is_a_request_above_its_limit() -> None:
    defaults, problems = read(
        sidecar={
            "resources": {
                "limits": {"cpu": "1", "memory": "1 Gi", "gpu": 1, "ephemeral-storage": True},
                "requests": {"cpu": "1001m", "memory": "64Mi"},
            }
        }
    )

    assert Resources((("memory", "64Mi"),), (("cpu", "1"),)) == defaults.resources
    where = "sidecar.resources."
    expected = {
        *(f"{where}limits.{name}" for name in ("memory", "gpu", "ephemeral-storage")),
        f"{where}requests.cpu",
    }
    assert expected == {*problems}


@pytest.mark.parametrize(
    ("text", "same"),
    [("100m", "0.1"), ("1Ki", "1024"), ("1e3", "1k"), ("1E", "1e18"), ("0.5Gi", "512Mi")],
)
def test_quantities_are_compared_by_what_they_amount_to(text: str, same: str) -> None:
    assert None is not quantity(text)
    assert quantity(text) == quantity(same)


@pytest.mark.parametrize("text", ["", "-1", "1 m", "m", "1KB", "1mi", "1e999", "9" * 30, "$(id)"])
def test_what_is_no_quantity(text: str) -> None:
    assert None is quantity(text)
