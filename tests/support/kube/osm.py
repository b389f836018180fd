"""A living Open Service Mesh, as far as an API server knows it: each object by who writes it there.

Helm's release; the definitions, applied by an init container; what its bootstrap makes at run time.
The names, labels and managers are those of its charts and programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from support.kube.cluster import Cluster, Kubectl

NAMESPACE = "osm-system"
CONFIG = ("meshconfig", "osm-mesh-config", "-n", NAMESPACE)
_LABELS = {
    "app.kubernetes.io/name": "openservicemesh.io",
    "app.kubernetes.io/instance": "osm",
    "app.kubernetes.io/version": "v1.2.4",
}
_RELEASE = {"meta.helm.sh/release-name": "osm", "meta.helm.sh/release-namespace": NAMESPACE}
_SPEC = {
    "sidecar": {"logLevel": "error", "configResyncInterval": "0s"},
    "traffic": {"enableEgress": False, "enablePermissiveTrafficPolicyMode": True},
    "featureFlags": {"enableEgressPolicy": True, "enableWASMStats": True},
    "certificate": {"serviceCertValidityDuration": "24h", "certKeyBitSize": 2048},
}
_POLICY = "policy.openservicemesh.io"
_DEFINITIONS = (
    ("config.openservicemesh.io", "MeshConfig", "meshconfigs", ("v1alpha1", "v1alpha2")),
    (_POLICY, "Egress", "egresses", ("v1alpha1",)),
    (_POLICY, "IngressBackend", "ingressbackends", ("v1alpha1",)),
    (_POLICY, "Retry", "retries", ("v1alpha1",)),
    (_POLICY, "UpstreamTrafficSetting", "upstreamtrafficsettings", ("v1alpha1",)),
    ("specs.smi-spec.io", "HTTPRouteGroup", "httproutegroups", ("v1alpha4",)),
    ("specs.smi-spec.io", "TCPRoute", "tcproutes", ("v1alpha4",)),
    ("access.smi-spec.io", "TrafficTarget", "traffictargets", ("v1alpha3",)),
    ("split.smi-spec.io", "TrafficSplit", "trafficsplits", ("v1alpha2",)),
)


def definitions() -> Iterator[dict[str, Any]]:
    """As its init container applies them."""
    for group, kind, plural, versions in _DEFINITIONS:
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{plural}.{group}",
                "labels": {"app.kubernetes.io/name": "openservicemesh.io"},
            },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": version == versions[0],
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                    for version in versions
                ],
            },
        }


def workload(name: str, *, image: str = "openservicemesh/{}:v1.2.4") -> dict[str, Any]:
    """A Deployment of the release."""
    labels = {"app": name}
    container = {"name": name, "image": image.format(name)}
    return {
        **_released("apps/v1", "Deployment", name, {**_LABELS, **labels}),
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    }


def live(cluster: Cluster) -> None:
    """`osm install`, with one namespace in its mesh and one policy in it."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("create", "namespace", "shop")
    _apply(cluster, *definitions(), manager="")
    waited = cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    assert waited.exit_code == 0, waited.error
    _preferred(cluster)
    preset = _released("v1", "ConfigMap", "preset-mesh-config", _LABELS)
    data = {"preset-mesh-config.json": json.dumps(_SPEC)}
    _apply(cluster, {**preset, "data": data}, *_rights(), manager="helm")
    for name in ("osm-controller", "osm-injector", "osm-bootstrap"):
        _apply(cluster, workload(name), manager="helm")
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": NAMESPACE},
        "spec": _SPEC,
    }
    _apply(cluster, config, manager="osm-bootstrap")
    _apply(cluster, _webhook(), manager="osm-injector")
    joined = ("label", "namespace", "shop", "openservicemesh.io/monitored-by=osm")
    assert cluster.kubectl(*joined, "--field-manager=osm").exit_code == 0
    policy = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Egress",
        "metadata": {"name": "payments", "namespace": "shop"},
        "spec": {
            "sources": [{"kind": "ServiceAccount", "name": "till", "namespace": "shop"}],
            "hosts": ["api.payments.example"],
            "ports": [{"number": 80, "protocol": "http"}],
        },
    }
    _apply(cluster, policy, manager="")


def uninstall(cluster: Cluster) -> None:
    """`osm uninstall mesh`, as Helm does it: what its programs made at run time stays."""
    for kind, name in (
        *(("deployment", f"osm-{part}") for part in ("controller", "injector", "bootstrap")),
        ("configmap", "preset-mesh-config"),
        ("serviceaccount", "osm"),
    ):
        done = cluster.kubectl("delete", kind, name, "-n", NAMESPACE)
        assert done.exit_code == 0, done.error
    assert cluster.kubectl("delete", "clusterrole", "osm").exit_code == 0


def gone(cluster: Cluster) -> None:
    """All of it, and what it left."""
    for arguments in (
        ("deployment,configmap,serviceaccount", "--all", "-n", NAMESPACE),
        ("clusterrole", "osm"),
        ("mutatingwebhookconfiguration", "osm-webhook-osm"),
        ("crd", "--all"),
    ):
        done = cluster.kubectl("delete", *arguments, "--ignore-not-found")
        assert done.exit_code == 0, done.error


def objects(cluster: Cluster) -> dict[str, Any]:
    """Everything of it, with uid and version, by kind and name."""
    kinds = "deployment,configmap,serviceaccount,meshconfig"
    records = cluster.kubectl("get", kinds, "-n", NAMESPACE, "-o", "json").json()["items"]
    everywhere = "crd,clusterrole,mutatingwebhookconfiguration,namespace"
    records += cluster.kubectl("get", everywhere, "-o", "json").json()["items"]
    records += cluster.kubectl("get", "egress", "-A", "-o", "json").json()["items"]
    return {
        f"{one['kind']}/{one['metadata']['name']}": (
            one["metadata"]["uid"],
            one["metadata"]["resourceVersion"],
        )
        for one in records
        if not one["metadata"]["name"].startswith(("system:", "kube-", "default"))
    }


def _preferred(cluster: Cluster) -> None:
    """As releases moved on: MeshConfig is stored as v1alpha2 since, and once was as v1alpha1."""
    for document in definitions():
        if document["kind"] != "CustomResourceDefinition" or len(document["spec"]["versions"]) < 2:
            continue
        for version in document["spec"]["versions"]:
            version["storage"] = version["name"] == "v1alpha2"
        document["spec"]["conversion"] = {
            "strategy": "Webhook",
            "webhook": {
                "clientConfig": {
                    "service": {"name": "osm-bootstrap", "namespace": NAMESPACE, "path": "/convert"}
                },
                "conversionReviewVersions": ["v1"],
            },
        }
        _apply(cluster, document, manager="")


def _rights() -> Iterator[dict[str, Any]]:
    yield _released("v1", "ServiceAccount", "osm", _LABELS)
    role = _released("rbac.authorization.k8s.io/v1", "ClusterRole", "osm", _LABELS)
    del role["metadata"]["namespace"]
    yield {**role, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}


def _webhook() -> dict[str, Any]:
    client = {"service": {"name": "osm-injector", "namespace": NAMESPACE}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "osm-webhook-osm", "labels": _LABELS},
        "webhooks": [
            {
                "name": "osm-inject.k8s.io",
                "clientConfig": client,
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                    }
                ],
                "failurePolicy": "Fail",
                "namespaceSelector": {"matchLabels": {"openservicemesh.io/monitored-by": "osm"}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def _released(api_version: str, kind: str, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    managed = {**labels, "app.kubernetes.io/managed-by": "Helm"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": managed, "annotations": _RELEASE}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _apply(cluster: Cluster, *documents: Mapping[str, Any], manager: str) -> None:
    """As Go's clients write: without server-side apply, under the name of the program."""
    text = yaml.safe_dump_all(json.loads(json.dumps(documents)))
    by = (f"--field-manager={manager}",) if manager else ()
    done: Kubectl = cluster.kubectl("apply", *by, "-f", "-", stdin=text)
    assert done.exit_code == 0, done.error
