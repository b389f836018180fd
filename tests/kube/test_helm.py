"""The chart by a real Helm: what it renders, and its life on an API server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane import wait
from support.deploy import CRDS
from support.kube.build import HELM, CannotBuildError
from support.kube.cluster import Cluster
from support.kube.command import towpath
from support.kube.deployed import account_kubeconfig
from support.kube.helm import CHART, RELEASE, Helm
from support.kube.replica import Replica
from towpath.install.check import contains
from towpath.install.manifests import manifests
from towpath.install.objects import title
from towpath.install.values import Values, parse
from towpath.kubeapi.preset import KEY, PRESET

pytestmark = pytest.mark.kube

INTO = ("-n", "osm-system")
CONFIG = ("meshconfig", "osm-mesh-config", *INTO)
WEBHOOK = ("mutatingwebhookconfiguration", "towpath")
REQUIRED = "osm.osmController.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
BUNDLE = "Zm9v"
POLICY: dict[str, Any] = {
    "apiVersion": "policy.openservicemesh.io/v1alpha1",
    "kind": "Egress",
    "metadata": {"name": "payments", "namespace": "default"},
    "spec": {
        "sources": [{"kind": "ServiceAccount", "name": "till", "namespace": "default"}],
        "hosts": ["api.payments.example"],
        "ports": [{"number": 80, "protocol": "http"}],
    },
}


@pytest.fixture(scope="module", autouse=True)
def buildable() -> None:
    try:
        HELM.binary()
    except CannotBuildError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        ("osm.enableEgress=true", "osm.enablePermissiveTrafficPolicy=false"),
        ("osm.featureFlags.enableEgressPolicy=true", "osm.sidecarLogLevel=debug"),
        ("osm.meshName=blue", "osm.osmNamespace=towpath-system"),
        ("osm.image.registry=here:5000/there/", "osm.image.tag=9.9", "osm.image.pullPolicy=Always"),
        ("osm.osmController.replicaCount=7", "osm.controllerLogLevel=warning"),
        (
            "osm.osmController.tolerations[0].key=infra",
            "osm.osmController.tolerations[0].tolerationSeconds=60",
            f"{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].key=disk",
            r"osm.osmController.nodeSelector.kubernetes\.io/os=linux",
            "osm.osmController.podLabels.team=mesh,osm.imagePullSecrets[0].name=registry",
            "osm.osmController.resource.limits.cpu=1500m,osm.osmController.resource.requests.cpu=null",
        ),
        (
            "osm.outboundPortExclusionList={25,5432},osm.inboundPortExclusionList[0]=9090",
            "osm.outboundIPRangeExclusionList={10.0.0.0/8},osm.localProxyMode=PodIP",
            "osm.outboundIPRangeInclusionList={172.16.0.0/12,192.168.0.0/16}",
            "osm.networkInterfaceExclusionList={eth1},osm.enablePrivilegedInitContainer=true",
            "osm.sidecarImage=here/envoy:v1.40.1",
            "osm.certificateProvider.serviceCertValidityDuration=1h30m",
        ),
    ],
    ids=" ".join,
)
def test_the_chart_says_what_install_applies(tmp_path: Path, pairs: tuple[str, ...]) -> None:
    values = parse(pairs, Values())
    settings = [part for pair in pairs for part in ("--set", pair)]
    text = Helm(tmp_path).succeed(
        *("template", RELEASE, str(CHART), "--include-crds"),
        *("-n", values.osm_namespace, *settings),
    )
    expected = [one for one in manifests(values) if one["kind"] != "Namespace"]

    assert by_title(expected) == by_title(yaml.safe_load_all(text))


def by_title(documents: Any) -> dict[str, Any]:
    """The objects, with the preset's text as what it says."""
    objects = {title(one): one for one in documents if one}
    for one in objects.values():
        if one["metadata"]["name"] == PRESET:
            one["data"] = json.loads(one["data"][KEY])
    return objects


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("osm.enableEgres=true", "invalid propertyName 'enableEgres'"),
        ("osm=null", "missing property 'osm'"),
        ("osm.image=null", "missing property 'image'"),
        ("osm.osmController.tolerations[0].effect=Never", "value must be one of 'NoExecute', 'N"),
        ("osm.osmController.resource.limits.gpu=1", "'gpu' not allowed"),
        (r"osm.osmController.podLabels.app\.kubernetes\.io/name=x", "app.kubernetes.io~1name"),
        ("osm.outboundPortExclusionList={70000}", "maximum: got 70,000, want 65,535"),
        ("osm.enableEgress=maybe", "/osm/enableEgress': got string, want boolean"),
        ("osm.osmController.replicaCount=0", "/osm/osmController/replicaCount': minimum: got 0"),
        ("osm.sidecarLogLevel=loud", "value must be one of 'trace', 'debug'"),
        ("osm.meshName=", "/osm/meshName': '' does not match pattern"),
        ("osm.image.tag=a b", "/osm/image/tag': 'a b' does not match pattern"),
        ("osm.image.registry=https://a", "/osm/image/registry': 'https://a' does not match"),
        ("osm.osmNamespace=other", 'osm.osmNamespace is "other", and the release is in "osm-sys'),
    ],
)
def test_a_bad_value_is_refused_by_its_name(tmp_path: Path, pair: str, words: str) -> None:
    done = Helm(tmp_path)("template", RELEASE, str(CHART), *INTO, "--set", pair)

    assert 0 != done.exit_code
    assert words in done.error


def test_the_chart_is_well_formed(tmp_path: Path) -> None:
    """Helm's own linter finds nothing but that the chart has no icon."""
    out = Helm(tmp_path).succeed("lint", "--strict", str(CHART))

    assert "icon is recommended" in out
    assert "1 chart(s) linted, 0 chart(s) failed" in out


def stored(cluster: Cluster, document: Any) -> Any:
    """The object as the API server has it; None if it has not."""
    where = ("-n", document["metadata"]["namespace"]) if "namespace" in document["metadata"] else ()
    group = document["apiVersion"].rpartition("/")[0]
    kind = f"{document['kind']}.{group}" if group else document["kind"]
    done = cluster.kubectl("get", kind, document["metadata"]["name"], *where, "-o", "json")
    return json.loads(done.out) if done.exit_code == 0 else None


def versions(cluster: Cluster, documents: Any) -> dict[str, str]:
    objects = {title(one): stored(cluster, one) for one in documents}
    return {name: one["metadata"]["resourceVersion"] for name, one in objects.items() if one}


def test_a_release_from_install_to_uninstall(bare: Cluster, tmp_path: Path) -> None:
    helm = Helm(tmp_path, bare)
    values = ("--set", "osm.enableEgress=true")
    out = helm.succeed("install", RELEASE, str(CHART), *INTO, "--create-namespace", *values)
    assert "towpath namespace add NAMESPACE" in out
    documents = [
        one
        for one in manifests(Values(preset={"traffic.enableEgress": True}))
        if one["kind"] != "Namespace"
    ]
    for document in documents:
        record = stored(bare, document)
        if document["metadata"]["name"] == PRESET:
            document["data"] = record["data"]  # the same in other white space
        assert contains(record, document), title(document)
    definitions = [one for one in documents if one["kind"] == "CustomResourceDefinition"]
    others = [one for one in documents if one not in definitions]

    # A replica runs by what the release grants it; MeshConfig and authority are not Helm's.
    certificates = ("certificates", "server", str(tmp_path / "tls"))
    made = towpath(bare, *certificates, "--kubeconfig", str(account_kubeconfig(bare, tmp_path)))
    assert made.exit_code == 0, made.error
    with Replica(bare, "replica", tmp_path) as replica:
        wait.until(
            lambda: bare.kubectl("get", *CONFIG).exit_code,
            lambda code: code == 0,
            what="the replica creates the MeshConfig",
            context=lambda: replica.log,
        )
    at = "/webhooks/{}/clientConfig/caBundle"
    patch = json.dumps([{"op": "add", "path": at.format(n), "value": BUNDLE} for n in (0, 1)])
    assert bare.kubectl("patch", *WEBHOOK, "--type=json", "-p", patch).exit_code == 0
    change = '{"spec":{"featureFlags":{"enableEgressPolicy":true}}}'
    assert bare.kubectl("patch", *CONFIG, "--type=merge", "-p", change).exit_code == 0
    assert bare.apply(POLICY).exit_code == 0
    config = bare.kubectl("get", *CONFIG, "-o", "json").json()
    assert (True, True) == (
        config["spec"]["traffic"]["enableEgress"],
        config["spec"]["featureFlags"]["enableEgressPolicy"],
    )
    authority = bare.kubectl("get", "secret", "towpath-ca", *INTO, "-o", "json").json()["data"]
    assert authority["ca.key"]

    # Towpath's own commands look at what is Helm's, and leave it.
    before = versions(bare, documents)
    checked = towpath(bare, "check")
    assert f"{len(CRDS)} are established, and of this version" in checked.out
    assert "may do all" in checked.out
    assert "pods" in checked.out
    for command in (("install",), ("upgrade",), ("uninstall", "-f", "-a", "--delete-namespace")):
        done = towpath(bare, *command)
        assert 1 == done.exit_code
        assert (
            "osm-system is the Helm release towpath in osm-system: upgrade and uninstall"
            in done.error
        )
    assert before == versions(bare, documents)
    assert config == bare.kubectl("get", *CONFIG, "-o", "json").json()

    changed = ("osm.osmController.replicaCount=3", "osm.meshName=blue", "osm.enableEgress=false")
    settings = [part for pair in changed for part in ("--set", pair)]
    helm.succeed("upgrade", RELEASE, str(CHART), *INTO, *settings)
    deployment = bare.kubectl("get", "deployment", "towpath", *INTO, "-o", "json").json()
    assert 3 == deployment["spec"]["replicas"]
    for webhook in bare.kubectl("get", *WEBHOOK, "-o", "json").json()["webhooks"]:
        monitored = webhook["namespaceSelector"]["matchLabels"]
        assert {"openservicemesh.io/monitored-by": "blue"} == monitored
        # What Towpath and people wrote stays.
        assert BUNDLE == webhook["clientConfig"]["caBundle"]
    secret = bare.kubectl("get", "secret", "towpath-ca", *INTO, "-o", "json").json()
    assert authority == secret["data"]
    assert config == bare.kubectl("get", *CONFIG, "-o", "json").json()

    helm.succeed("uninstall", RELEASE, *INTO)
    assert {} == versions(bare, others)
    assert {title(one) for one in definitions} == set(versions(bare, definitions))
    assert bare.kubectl("get", "egress", "payments").exit_code == 0

    # What the replicas made goes by the command; definitions are Helm's, and people's to delete.
    removed = towpath(bare, "uninstall", "-f", "-a")
    assert removed.exit_code == 0, removed.error
    assert "  deleted   MeshConfig osm-system/osm-mesh-config" in removed.out
    kept = "  kept      CustomResourceDefinition egresses.policy.openservicemesh.io (written by he"
    assert kept in removed.out
    assert bare.kubectl("get", "egress", "payments").exit_code == 0


def test_helm_upgrades_no_definition_and_the_documented_command_does(
    bare: Cluster, tmp_path: Path
) -> None:
    helm = Helm(tmp_path, bare)
    name = "egresses.policy.openservicemesh.io"
    helm.succeed("upgrade", "--install", RELEASE, str(CHART), *INTO, "--create-namespace")
    older = '[{"op":"remove","path":"/spec/versions/0/additionalPrinterColumns"}]'
    assert bare.kubectl("patch", "crd", name, "--type=json", "-p", older).exit_code == 0
    helm.succeed("upgrade", RELEASE, str(CHART), *INTO)
    outdated = towpath(bare, "check").out
    text = helm.succeed("show", "crds", str(CHART))
    applied = bare.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    assert applied.exit_code == 0, applied.error
    checked = towpath(bare, "check").out
    helm.succeed("uninstall", RELEASE, *INTO)

    assert f"{name}: it is not that of this version: written by helm" in outdated
    assert f"{len(CRDS)} are established, and of this version" in checked


def test_the_documented_upgrade_keeps_values_and_has_those_that_are_new(
    bare: Cluster, tmp_path: Path
) -> None:
    """From a release of an older chart, which had no osm.sidecarImage."""
    helm = Helm(tmp_path, bare)
    older = shutil.copytree(CHART, tmp_path / "older")
    values = yaml.safe_load((older / "values.yaml").read_text())
    del values["osm"]["sidecarImage"]
    (older / "values.yaml").write_text(yaml.safe_dump(values))
    (older / "values.schema.json").unlink()
    kept = ("--set", "osm.osmController.replicaCount=3")
    helm.succeed("upgrade", "--install", RELEASE, str(older), *INTO, "--create-namespace", *kept)
    refused = helm("upgrade", RELEASE, str(CHART), *INTO, "--reuse-values")
    helm.succeed("upgrade", RELEASE, str(CHART), *INTO, "--reset-then-reuse-values")
    deployment = bare.kubectl("get", "deployment", "towpath", *INTO, "-o", "json").json()
    helm.succeed("uninstall", RELEASE, *INTO)

    assert "missing property 'sidecarImage'" in refused.error
    assert 3 == deployment["spec"]["replicas"]


def test_helm_takes_over_nothing_that_install_made(bare: Cluster, tmp_path: Path) -> None:
    bare.kubectl("delete", "crd", "--all")
    made = towpath(bare, "install")
    assert made.exit_code == 0, made.error
    documents = manifests(Values())
    before = versions(bare, documents)
    done = Helm(tmp_path, bare)("install", RELEASE, str(CHART), *INTO)

    assert 1 == done.exit_code
    assert "cannot be imported into the current release: invalid ownership metadata" in done.error
    assert before == versions(bare, documents)
