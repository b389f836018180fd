"""Namespaces and pods as Kubernetes sends them, and as people get them wrong."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.model.workloads import Namespace, Pod
from towpath.sources.decode import Decoded, decode


def pod(spec: object, **metadata: object) -> Decoded:
    head = {"name": "web-0", "namespace": "shop", **metadata}
    return decode({"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec}, "")


def test_a_namespace_joins_the_mesh_that_its_label_names() -> None:
    labels = {"openservicemesh.io/monitored-by": "osm", "team": "a"}
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}

    assert decode(raw, "").value == Namespace("shop", mesh="osm")


def test_a_namespace_without_the_label_is_in_no_mesh() -> None:
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": None}}

    assert decode(raw, "").value == Namespace("shop", mesh=None)


def test_a_pod_has_its_account_labels_and_named_tcp_ports() -> None:
    spec = {
        "serviceAccountName": "web",
        "hostNetwork": True,
        "containers": [
            {"ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9}]},
            {"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]},
            {"ports": None},
        ],
    }

    decoded = pod(spec, labels={"b": "2", "a": "1"})

    labels, ports = (("a", "1"), ("b", "2")), (("http", 8080),)
    expected = Pod("shop", "web-0", "web", labels, ports, host_network=True)
    assert (decoded.value, decoded.problems) == (expected, ())


def test_a_pod_without_an_account_has_the_account_default() -> None:
    decoded = pod({"containers": None})

    assert decoded.value == Pod("shop", "web-0", "default", (), ())


def test_only_init_containers_that_keep_running_have_ports() -> None:
    spec = {
        "initContainers": [
            {"restartPolicy": "Always", "ports": [{"name": "log", "containerPort": 1}]},
            {"ports": [{"name": "setup", "containerPort": 2}]},
        ],
    }

    decoded = pod(spec)

    assert isinstance(decoded.value, Pod)
    assert decoded.value.ports == (("log", 1),)


def test_a_bad_container_port_is_left_out_and_the_pod_is_held() -> None:
    ports = [{"name": "a", "containerPort": 70000}, {"name": "b", "containerPort": 80}]

    decoded = pod({"containers": [{"ports": ports}]})

    assert isinstance(decoded.value, Pod)
    assert decoded.value.ports == (("b", 80),)
    (problem,) = decoded.problems
    assert problem.field == "spec.containers[0].ports[0].containerPort"
    assert problem.message == (
        "is 70000; allowed: an integer from 1 to 65535; the port is left out"
    )


def test_an_invalid_account_name_is_a_problem_of_the_pod() -> None:
    decoded = pod({"serviceAccountName": "Web"})

    assert decoded.value is None
    assert [p.field for p in decoded.problems] == ["spec.serviceAccountName"]


def test_a_wrong_type_names_field_value_and_what_is_allowed() -> None:
    decoded = pod({"containers": [{"ports": {"name": "http"}}]})

    assert decoded.value is None
    (problem,) = decoded.problems
    assert problem.field == "spec.containers[0].ports"
    assert problem.message == "is a mapping; allowed: a list; the Pod is not used"


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, ("10.0.0.1",)),
        ({"podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.2"}]}, ("10.0.0.2",)),
        ({"phase": "Pending", "podIP": "", "podIPs": None}, ()),
        ({"podIP": "0.0.0.0"}, ()),
        ({}, ()),
    ],
)
def test_a_pod_has_the_ipv4_addresses_of_its_status(
    status: dict[str, Any], addresses: tuple[str, ...]
) -> None:
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}}

    found = decode({**raw, "status": status}, "").value

    assert isinstance(found, Pod)
    assert found.addresses == addresses


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"flomesh.io/monitored-by": "fsm"}, ["metadata.labels[flomesh.io/monitored-by]"]),
        ({"flomesh.io/monitored-by": "fsm", "openservicemesh.io/monitored-by": "osm"}, []),
        ({"other": "label"}, []),
    ],
)
def test_the_label_of_fsm_alone_is_no_label_of_ours(
    labels: dict[str, str], told: list[str]
) -> None:
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}

    assert [problem.field for problem in decode(raw, "").problems] == told
