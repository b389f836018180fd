"""Fields and kinds of Kubernetes' own that are misspelt in a file: said, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from towpath.model.codes import Reason
from towpath.model.names import Kind
from towpath.sources.decode import decode, decode_json
from towpath.sources.decode.slips import meant

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {
        "type": "ClusterIP",
        "clusterIP": "10.0.0.1",
        "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"],
        "selector": {"app": "web"},
        "ports": [
            {"name": "x", "port": 1, "targetPort": 2, "protocol": "TCP", "appProtocol": "http"}
        ],
    },
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {
        "serviceAccountName": "web",
        "containers": [
            {
                "ports": [{"name": "x", "containerPort": 2, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 2, "scheme": "HTTP"}},
                "readinessProbe": {"tcpSocket": {"port": 2}},
                "startupProbe": {"grpc": {"port": 2}},
                "lifecycle": {"postStart": {"httpGet": {"port": 2}}},
            }
        ],
        "initContainers": [{"restartPolicy": "Always"}],
    },
    "status": {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}]},
}
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "labels": {"kubernetes.io/service-name": "web"},
    },
    "addressType": "IPv4",
    "endpoints": [
        {
            "addresses": ["10.1.0.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
        }
    ],
    "ports": [{"name": "x", "port": 2, "protocol": "TCP"}],
}
UNTOUCHED = ("apiVersion", "kind", "name", "namespace", "labels")
"""Names without which it is another object, and a mapping whose keys are anybody's."""

REAL = {
    "": "apiVersion kind metadata spec status",
    "metadata": """annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp
        finalizers generateName generation labels managedFields name namespace ownerReferences
        resourceVersion selfLink uid""",
    "service": """allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName
        externalTrafficPolicy healthCheckNodePort internalTrafficPolicy ipFamilies ipFamilyPolicy
        loadBalancerClass loadBalancerIP loadBalancerSourceRanges ports publishNotReadyAddresses
        selector sessionAffinity sessionAffinityConfig trafficDistribution type topologyKeys""",
    "servicePort": "appProtocol name nodePort port protocol targetPort",
    "pod": """activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig
        dnsPolicy enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID
        hostUsers hostname hostnameOverride imagePullSecrets initContainers nodeName nodeSelector
        os overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims
        resources restartPolicy runtimeClassName schedulerName schedulingGates securityContext
        serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain
        terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef""",
    "container": """args command env envFrom image imagePullPolicy lifecycle livenessProbe name
        ports readinessProbe resizePolicy resources restartPolicy restartPolicyRules
        securityContext startupProbe stdin stdinOnce targetContainerName terminationMessagePath
        terminationMessagePolicy tty volumeDevices volumeMounts workingDir""",
    "containerPort": "containerPort hostIP hostPort name protocol",
    "probe": """exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds sleep
        successThreshold tcpSocket terminationGracePeriodSeconds timeoutSeconds""",
    "lifecycle": "postStart preStop stopSignal",
    "probedPort": "host httpHeaders path port scheme service",
    "podStatus": """conditions containerStatuses ephemeralContainerStatuses extendedResourceClaim
        hostIP hostIPs initContainerStatuses message nominatedNodeName observedGeneration phase
        podIP podIPs qosClass reason resize resourceClaimStatuses startTime""",
    "slice": "addressType endpoints ports",
    "endpoint": """addresses conditions deprecatedTopology hints hostname nodeName targetRef
        topology zone""",
    "endpointPort": "appProtocol name port protocol",
}
"""What Kubernetes itself has in each mapping that is looked into."""


def spellings(name: str) -> Iterator[str]:
    """The name with each slip, at each place."""
    for at in range(len(name)):
        yield name[:at] + name[at + 1 :]
        yield name[:at] + name[at] + name[at:]
        yield name[:at] + "q" + name[at + 1 :]
        if name[at : at + 1] != name[at + 1 : at + 2] != "":
            yield name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    yield name.upper()
    yield name[0].upper() + name[1:]
    yield name.removesuffix("s") if name.endswith("s") else name + "s"


def places(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each (path of a mapping, name in it), the names in UNTOUCHED left out."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, below in value.items():
            if name not in UNTOUCHED:
                if path != "spec.selector":
                    yield path, name
                yield from places(below, f"{path}.{name}" if path else name)


def renamed(value: Any, path: str, name: str, other: str, here: str = "") -> Any:
    """A copy in which the field *name* of the mapping at *path* is called *other*."""
    if isinstance(value, list):
        return [renamed(v, path, name, other, f"{here}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    return {
        (other if (here, key) == (path, name) else key): renamed(
            below, path, name, other, f"{here}.{key}" if here else key
        )
        for key, below in value.items()
    }


@pytest.mark.parametrize("raw", [SERVICE, POD, SLICE], ids=lambda raw: str(raw["kind"]))
def test_each_slip_in_each_field_is_said_with_a_known_name(raw: dict[str, Any]) -> None:
    assert decode(raw, "a.yaml:1").problems == ()
    silent, tried = [], 0
    for path, name in places(raw):
        known = {n for p, n in places(raw) if p == path} | {"host", "ip", "externalName", "port"}
        for other in spellings(name):
            if other in known or not other:
                continue
            tried += 1
            field = f"{path}.{other}" if path else other
            problems = decode(renamed(raw, path, name, other), "a.yaml:1").problems
            if (field, Reason.UNKNOWN_FIELD) not in {(p.field, p.reason) for p in problems}:
                silent.append(field)
    assert (silent, tried > 100) == ([], True)


def test_no_field_that_kubernetes_has_is_taken_for_a_slip() -> None:
    real = {where: _empty(names) for where, names in REAL.items()}
    probe = {**real["probe"], **dict.fromkeys(("httpGet", "tcpSocket", "grpc"), real["probedPort"])}
    lifecycle = dict.fromkeys(real["lifecycle"], probe)
    probes = dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), probe)
    ports = [real["containerPort"]]
    container = {**real["container"], **probes, "lifecycle": lifecycle, "ports": ports}
    named = {**real["metadata"], "name": "x", "namespace": "shop"}
    top = {**real[""], "apiVersion": "v1", "metadata": named}
    containers = {"containers": [container], "initContainers": [container]}
    objects = [
        {**top, "kind": "Service", "spec": {**real["service"], "ports": [real["servicePort"]]}},
        {
            **top,
            "kind": "Pod",
            "spec": {**real["pod"], **containers},
            "status": {**real["podStatus"], "podIPs": [{"ip": ""}]},
        },
        {
            **top,
            **real["slice"],
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "endpoints": [real["endpoint"]],
            "ports": [real["endpointPort"]],
        },
    ]

    said = [p for raw in objects for p in decode(raw, "a.yaml:1").problems]

    assert [p for p in said if p.reason == Reason.UNKNOWN_FIELD] == []


def _empty(names: str) -> dict[str, Any]:
    return {name: {} for name in names.split()}


def test_a_misspelt_field_loses_nothing_beside_it() -> None:
    raw = renamed(SERVICE, "spec.ports[0]", "appProtocol", "app_protocol")

    decoded = decode(raw, "a.yaml:1")

    assert decoded.value == decode(renamed(SERVICE, "spec.ports[0]", "appProtocol", "x"), "").value
    assert [(p.field, p.message) for p in decoded.problems] == [
        (
            "spec.ports[0].app_protocol",
            "is not a known field (did you mean appProtocol?); it is not used",
        )
    ]


def test_nothing_is_said_of_what_an_api_server_sends() -> None:
    data = b'{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selectors": {}}}'

    problems = decode_json(Kind.SERVICE, data).problems

    assert Reason.UNKNOWN_FIELD not in {p.reason for p in problems}


@pytest.mark.parametrize(
    ("version", "kind", "near"),
    [
        ("v1", "Servce", "Service"),
        ("v1", "pod", "Pod"),
        ("v1", "Pods", "Pod"),
        ("discovery.k8s.io/v1", "EndpointSlices", "EndpointSlice"),
        ("discovery.k8.io/v1", "EndpointSilce", "EndpointSlice"),
        ("policy.openservicemesh.io/v1alpha1", "egress", "Egress"),
        ("policy.openservicemesh.io/v1alpha1", "Egres", "Egress"),
        ("specs.smi-spec.io/v1alpha4", "HttpRouteGroup", "HTTPRouteGroup"),
        ("config.openservicemesh.io/v1alpha2", "MeshConfg", "MeshConfig"),
    ],
)
def test_a_misspelt_kind_is_said_with_the_kind_that_was_meant(
    version: str, kind: str, near: str
) -> None:
    raw = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}}

    (problem,) = decode(raw, "a.yaml:1").problems

    assert (problem.field, problem.reason) == ("kind", Reason.INVALID)
    assert problem.message == f'is "{kind}"; did you mean {near}? The object has no effect'


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1", "PodTemplate"),
        ("v1", "Endpoints"),
        ("v1", "Node"),
        ("apps/v1", "Pods"),
        ("networking.k8s.io/v1", "IngressClass"),
        ("serving.knative.dev/v1", "Services"),
    ],
)
def test_another_kind_is_none_of_ours(version: str, kind: str) -> None:
    raw = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}

    assert decode(raw, "a.yaml:1").ignored


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("Kind", "kind"),
        ("kinds", "kind"),
        ("apiversion", "apiVersion"),
        ("metdata", "metadata"),
    ],
)
def test_a_misspelt_name_at_the_head_of_an_object_is_said_by_itself(given: str, near: str) -> None:
    head = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    raw = {(given if name == near else name): value for name, value in head.items()}

    (problem,) = decode(raw, "a.yaml:1").problems

    assert (problem.field, problem.message) == (
        given,
        f"is not a known field (did you mean {near}?); the object has no effect",
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Ports", "ports"),
        ("port", "ports"),
        ("prots", "ports"),
        ("targetPorts", None),
        ("ipFamily", "ipFamilies"),
        ("address", "addresses"),
        ("ports", None),
        ("porxxs", None),
        ("", None),
        ("p" * 100_000, None),
    ],
)
def test_one_slip_is_seen_and_two_are_not(name: str, near: str | None) -> None:
    assert meant(name, ("ports", "addresses", "ipFamilies")) == near
