"""An API server takes the resources of a whole pod also with a sidecar in it."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.inject.patch import json_patch
from towpath.inject.pod import Installation, inject
from towpath.inject.refusal import Refused
from towpath.inject.shape import checked
from towpath.model.meshconfig import MeshConfig
from towpath.model.workloads import Namespace
from towpath.sources.decode.quantity import quantity

Pod = dict[str, Any]
INSTALLATION = Installation("1.2.3", "envoy", "init", {"static_resources": {}}, {})
SIDECAR = "openservicemesh.io/sidecar-resource-"
HALF = {"cpu": "500m", "memory": "256Mi"}
ONE = {"cpu": 1, "memory": "256Mi"}


def injected(pod: Pod) -> Pod:
    return inject(checked(pod), Namespace("shop", "osm"), MeshConfig(), INSTALLATION).pod


def pod(resources: Any, *, annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    app = {"name": "app", "image": "app", "resources": {"requests": HALF}}
    return {
        "metadata": {"annotations": annotations or {}},
        "spec": {"containers": [app], "resources": resources, **spec},
    }


def amounts(part: Any, kind: str) -> dict[str, Decimal]:
    section = (part.get("resources") or {}).get(kind) or {}
    return {name: quantity(str(text)) or Decimal(0) for name, text in section.items()}


def needed(spec: Any, name: str) -> Decimal:
    """What all containers together request, as `AggregateContainerRequests` of Kubernetes says."""
    always = highest = Decimal(0)
    for one in spec.get("initContainers") or ():
        amount = amounts(one, "requests").get(name, Decimal(0))
        highest = max(highest, always + amount)
        if one.get("restartPolicy") == "Always":
            always += amount
    apps = sum(amounts(one, "requests").get(name, Decimal(0)) for one in spec["containers"])
    return max(highest, apps + always)


def assert_taken(spec: Any) -> None:
    """What an API server checks of the resources of a pod."""
    requests, limits = amounts(spec, "requests"), amounts(spec, "limits")
    for name, amount in requests.items():
        assert needed(spec, name) <= amount
        assert amount <= limits.get(name, amount)
    for name, amount in limits.items():
        for one in (*spec["containers"], *(spec.get("initContainers") or ())):
            assert amounts(one, "limits").get(name, amount) <= amount


def test_the_sidecar_comes_on_top() -> None:
    spec = injected(pod({"requests": HALF, "limits": ONE}))["spec"]

    expected = {
        "requests": {"cpu": "600m", "memory": "352Mi"},
        "limits": {"cpu": "3", "memory": "768Mi"},
    }
    assert expected == spec["resources"]
    assert_taken(spec)


def test_only_what_the_pod_says_itself_is_changed() -> None:
    assert "resources" not in injected({"metadata": {}, "spec": {"containers": []}})["spec"]
    nothings: tuple[Any, ...] = (None, {}, {"requests": None}, {"limits": {}})
    for nothing in nothings:
        assert nothing == injected(pod(nothing))["spec"]["resources"]
    memory = injected(pod({"requests": {"memory": "1Gi", "hugepages-2Mi": "4Mi"}}))

    expected = {"requests": {"memory": "1120Mi", "hugepages-2Mi": "4Mi"}}
    assert expected == memory["spec"]["resources"]


def test_the_init_container_has_room_too() -> None:
    small = {f"{SIDECAR}requests-cpu": "1m", f"{SIDECAR}requests-memory": "1Mi"}
    tiny = {"cpu": "2m", "memory": "1Mi"}
    spec = injected(pod({"requests": tiny}, annotations=small, containers=[{"name": "app"}]))[
        "spec"
    ]

    assert {"cpu": "10m", "memory": "16Mi"} == spec["resources"]["requests"]
    assert_taken(spec)


@pytest.mark.parametrize("amount", ["lots", "-1", True, "", []])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(Refused, match=r"spec\.resources\.requests\.cpu|cannot be read"):
        injected(pod({"requests": {"cpu": amount}}))


cpu = st.sampled_from(["1m", "5m", "100m", "0.25", "1", 2, "1500m", "1.0005", "3e-4"])
memory = st.sampled_from(["0", "1Ki", "16Mi", "0.5Gi", "1000M", 1048577, "1e3", "123456789"])
sections = st.fixed_dictionaries({}, optional={"cpu": cpu, "memory": memory})
own = st.lists(st.tuples(sections, st.booleans()), max_size=3)


@settings(max_examples=examples(100))
@given(own, own, sections, sections)
def test_a_pod_that_is_taken_is_taken_with_its_sidecar_and_comes_back(
    apps: list[tuple[Any, bool]], init: list[tuple[Any, bool]], more: Any, sidecar: Any
) -> None:
    spec: dict[str, Any] = {
        "containers": [
            {"name": f"app{number}", "resources": {"requests": one}}
            for number, (one, _) in enumerate(apps)
        ],
        "initContainers": [
            {
                "name": f"init{number}",
                "resources": {"requests": one},
                **({"restartPolicy": "Always"} if always else {}),
            }
            for number, (one, always) in enumerate(init)
        ],
    }
    requests = {
        name: str(needed(spec, name) + (quantity(str(amount)) or 0))
        for name, amount in more.items()
    }
    annotations = {f"{SIDECAR}requests-{name}": str(amount) for name, amount in sidecar.items()}
    before = {
        "metadata": {"annotations": annotations},
        "spec": {**spec, "resources": {"requests": requests, "limits": requests}},
    }
    assert_taken(before["spec"])
    kept = copy.deepcopy(before)

    once = injected(before)
    twice = injected(once)

    assert kept == before
    assert_taken(once["spec"])
    assert [] == json_patch(once, twice)
    for name, amount in amounts(once["spec"], "requests").items():
        assert amount >= (quantity(requests[name]) or 0)


def test_another_sidecar_takes_the_room_of_the_one_before() -> None:
    once = injected(pod({"requests": HALF}))
    once["metadata"]["annotations"][f"{SIDECAR}requests-cpu"] = "1"

    assert "1500m" == injected(once)["spec"]["resources"]["requests"]["cpu"]
