"""`--set KEY=VALUE`: what it says, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.deploy import kustomize
from towpath.install.manifests import manifests
from towpath.install.values import KEYS, ValueRefused, Values, parse
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


def test_every_key_has_an_effect_on_the_manifests() -> None:
    values = {"true or false": "true", "a name": "other", "a tag": "9.9", "1 to 100": "7"}
    plain = manifests(Values())
    unchanged = []
    for name, key in KEYS.items():
        text = values.get(key.allowed, key.allowed.removeprefix("one of ").split(", ")[0])
        opposite = {"true": "false", "false": "true"}.get(text, text)
        # Each of them is read from YAML: the second only if the first changes nothing.
        if all(manifests(parse([f"{name}={one}"], Values())) == plain for one in {text, opposite}):
            unchanged.append(name)

    assert unchanged == []


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
        ("xyz=1", "xyz is not a key; keys are osm.controllerLogLevel, "),
        ("osm.enableEgress=yes", "osm.enableEgress is 'yes': allowed is true or false"),
        ("osm.osmController.replicaCount=0", "allowed is 1 to 100"),
        ("osm.sidecarLogLevel=loud", "allowed is one of trace, debug, "),
        ("osm.meshName=", "osm.meshName is '': allowed is a name"),
        ("osm.enableEgress", "'osm.enableEgress' is not KEY=VALUE"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(pair: str, said: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse([pair], Values())

    assert said in str(refused.value)
