"""`--set KEY=VALUE`: what it says, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.deploy import DEPLOY, kustomize
from towpath.install.installed import values_of
from towpath.install.keys import ELSEWHERE, KEYS
from towpath.install.manifests import manifests
from towpath.install.values import ValueRefused, Values, parse
from towpath.kubeapi.preset import KEY


def of_kind(documents: list[Any], kind: str) -> Any:
    (found,) = [one for one in documents if one["kind"] == kind]
    return found


def container(values: Values) -> Any:
    return of_kind(manifests(values), "Deployment")["spec"]["template"]["spec"]["containers"][0]


def test_without_values_the_manifests_are_what_kustomize_makes_of_the_base() -> None:
    def by_name(documents: list[Any]) -> dict[tuple[str, str], Any]:
        return {(one["kind"], one["metadata"]["name"]): one for one in documents}

    assert by_name(kustomize("base")) == by_name(manifests(Values()))


@pytest.mark.parametrize(
    ("pair", "path"),
    [
        ("osm.enableEgress=true", ("traffic", "enableEgress")),
        ("osm.featureFlags.enableEgressPolicy=true", ("featureFlags", "enableEgressPolicy")),
    ],
)
def test_a_switch_is_set_in_the_preset_alone(pair: str, path: tuple[str, str]) -> None:
    def preset(*pairs: str) -> Any:
        documents = manifests(parse(pairs, Values()))
        return json.loads(of_kind(documents, "ConfigMap")["data"][KEY])

    before, after = preset(), preset(pair)
    assert before[path[0]][path[1]] is False
    assert after[path[0]][path[1]] is True
    after[path[0]][path[1]] = False
    assert before == after


STRUCTURES = {
    "osm.imagePullSecrets": "[0].name=registry",
    "osm.inboundPortExclusionList": "={9090}",
    "osm.networkInterfaceExclusionList": "={eth1,net1}",
    "osm.osmController.affinity": ".podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
    "[0].weight=50,osm.osmController.affinity.podAntiAffinity."
    "preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey=zone",
    "osm.osmController.nodeSelector": r".kubernetes\.io/os=linux",
    "osm.osmController.podLabels": ".team=mesh",
    "osm.osmController.resource": ".limits.cpu=2",
    "osm.osmController.tolerations": "[0].key=infra",
    "osm.outboundIPRangeExclusionList": "={10.0.0.0/8,192.168.0.0/16}",
    "osm.outboundIPRangeInclusionList": "[0]=172.16.0.0/12",
    "osm.outboundPortExclusionList": "={25,5432}",
}


def test_every_key_has_an_effect_on_the_manifests() -> None:
    values = {"true or false": "true", "1 to 100": "7", "10m to 720h": "90m"}
    patterns = {
        "osm.meshName": "other",
        "osm.osmNamespace": "other",
        "osm.image.registry": "here.test:5000/there",
        "osm.image.tag": "9.9",
    }
    plain = manifests(Values())
    unchanged = []
    for name, key in KEYS.items():
        if key.structure is not None:
            if manifests(parse([name + STRUCTURES[name]], Values())) == plain:
                unchanged.append(name)
            continue
        choices = key.allowed.removeprefix("one of ").split(", ")
        text = patterns.get(name) or values.get(key.allowed, choices[0])
        opposite = {"true": "false", "false": "true"}.get(text, choices[-1])
        opposite = patterns.get(name, opposite)
        # Each of them is read from YAML: the second only if the first changes nothing.
        if all(manifests(parse([f"{name}={one}"], Values())) == plain for one in (text, opposite)):
            unchanged.append(name)

    assert unchanged == []


def test_what_has_a_structure_is_said_as_to_helm() -> None:
    first = "osm.osmController.tolerations[0].key=infra,osm.osmController.tolerations[0].effect="
    pairs = [
        f"{first}NoExecute",
        "osm.osmController.tolerations[0].tolerationSeconds=60",
        "osm.osmController.tolerations[1].operator=Exists",
        "osm.osmController.resource.limits.cpu=2,osm.osmController.resource.requests.cpu=null",
        r"osm.osmController.nodeSelector.kubernetes\.io/os=linux",
        "osm.osmController.podLabels.team=mesh, osm.imagePullSecrets[0].name=registry",
        "osm.outboundPortExclusionList={25, 5432},osm.enableEgress=true",
    ]
    documents = manifests(parse(pairs, Values()))
    template = of_kind(documents, "Deployment")["spec"]["template"]
    pod, preset = template["spec"], json.loads(of_kind(documents, "ConfigMap")["data"][KEY])

    taint = {"key": "infra", "effect": "NoExecute", "tolerationSeconds": 60}
    assert [taint, {"operator": "Exists"}] == pod["tolerations"]
    limits = {"memory": "1Gi", "cpu": "2"}
    expected = {"requests": {"memory": "256Mi"}, "limits": limits}
    assert expected == pod["containers"][0]["resources"]
    assert {"kubernetes.io/os": "linux"} == pod["nodeSelector"]
    assert [{"name": "registry"}] == pod["imagePullSecrets"]
    assert {"app.kubernetes.io/name": "towpath", "team": "mesh"} == template["metadata"]["labels"]
    assert ([25, 5432], True) == (
        preset["traffic"]["outboundPortExclusionList"],
        preset["traffic"]["enableEgress"],
    )


def test_an_upgrade_begins_with_what_the_deployment_has() -> None:
    names = (name for name, key in KEYS.items() if key.structure and not key.in_preset)
    values = parse([name + STRUCTURES[name] for name in names], Values())
    deployment = of_kind(manifests(values), "Deployment")

    assert deployment == of_kind(manifests(values_of(deployment)), "Deployment")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_key_that_open_service_mesh_has_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse([f"{name}.some[0].part=1"], Values())

    assert f"{name}.some.0.part is not a key: {ELSEWHERE[name]}" == str(refused.value)


def test_the_page_on_migration_names_each_of_these_keys() -> None:
    page = (DEPLOY.parent / "docs" / "migrate-from-osm.md").read_text()
    within = {name for name in ELSEWHERE if name.rpartition(".")[0] in ELSEWHERE}

    assert [name for name in ELSEWHERE if f"`{name}`" not in page and name not in within] == []


def test_several_pairs_may_stand_in_one() -> None:
    values = parse(["osm.meshName=a, osm.image.registry=here/there", "osm.image.tag=2"], Values())

    assert "here/there/towpath:2" == container(values)["image"]
    assert {"name": "TOWPATH_MESH_NAME", "value": "a"} in container(values)["env"]


def test_another_namespace_takes_everything_with_it() -> None:
    documents = manifests(parse(["osm.osmNamespace=mesh"], Values()))
    text = json.dumps(documents)
    cluster_wide = {
        one["metadata"]["name"]
        for one in documents
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding")
    }

    assert "osm-system" not in text
    assert cluster_wide == {"towpath-mesh"}


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("osm.enableEgres=true", "osm.enableEgres is not a key; did you mean osm.enableEgress?"),
        ("enableEgress=true", "did you mean osm.enableEgress?"),
        ("osm.enableegresspolicy=true", "osm.featureFlags.enableEgressPolicy?"),
        ("xyz=1", "xyz is not a key; keys are osm.certificateProvider.service"),
        ("osm.enableEgress=yes", "osm.enableEgress is 'yes': allowed is true or false"),
        ("osm.osmController.replicaCount=0", "allowed is 1 to 100"),
        ("osm.sidecarLogLevel=loud", "allowed is one of trace, debug, "),
        ("osm.meshName=", "osm.meshName is '': allowed is letters, digits, '-', '_' and '.', at"),
        ("osm.meshName=my mesh", "osm.meshName is 'my mesh': allowed is letters, digits"),
        (f"osm.meshName={'a' * 64}", "allowed is letters, digits, '-', '_' and '.', at most 63"),
        ("osm.osmNamespace=Mesh", "osm.osmNamespace is 'Mesh': allowed is a-z, 0-9 and '-'"),
        ("osm.image.tag=a b", "osm.image.tag is 'a b': allowed is a tag: letters, digits"),
        ("osm.image.tag=towpath:1", "osm.image.tag is 'towpath:1': allowed is a tag"),
        (f"osm.image.tag={'1' * 129}", "at most 128 characters"),
        ("osm.image.registry=https://a.test", "allowed is HOST or HOST/PATH, the host with :PORT"),
        ("osm.image.registry=a.test/Some", "osm.image.registry is 'a.test/Some': allowed is HOST"),
        ("osm.image.registry=a.test:port", "osm.image.registry is 'a.test:port': allowed is HOST"),
        ("osm.enableEgress", "'osm.enableEgress' is not KEY=VALUE"),
        (
            "osm.certificateProvider.serviceCertValidityDuration=a day",
            "serviceCertValidityDuration is 'a day': allowed is 10m to 720h",
        ),
        *(
            (
                f"osm.certificateProvider.serviceCertValidityDuration={one}",
                f"serviceCertValidityDuration is '{one}': allowed is 10m to 720h",
            )
            for one in ("9m59s", "720h1s", "9" * 4000 + "h")
        ),
        ("osm.enableEgress={true}", "osm.enableEgress is ['true']: allowed is true or false"),
        ("osm.enableEgress.x=true", "osm.enableEgress.x is not a key"),
        ("osm[=1", "'osm[=1' is not KEY=VALUE"),
        (
            "osm.osmController.tolerations[0].effect=Never",
            "(Invalid enum value 'Never' - at `osm.osmController.tolerations[0].effect`)",
        ),
        ("osm.osmController.tolerations[1].key=a", "[1] leaves a gap: the list has 0 entries"),
        ("osm.osmController.tolerations=a", "Expected `array`, got `str`"),
        (
            "osm.osmController.resource.limits.gpu=1",
            "Object contains unknown field `gpu` - at `osm.osmController.resource.limits`",
        ),
        ("osm.osmController.resource.limits.cpu=much", "allowed is requests and limits of cpu"),
        (
            r"osm.osmController.podLabels.app\.kubernetes\.io/name=other",
            "osm.osmController.podLabels has app.kubernetes.io/name: allowed is labels, but for",
        ),
        ("osm.outboundPortExclusionList={80,70000}", "allowed is ports, as {25,5432}"),
        ("osm.outboundIPRangeExclusionList={fd00::/8}", "allowed is IPv4 ranges, as {10.0"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(pair: str, said: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse([pair], Values())

    assert said in str(refused.value)
