"""Status on a real API server: conditions that kubectl shows and waits for, and Events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dataplane import wait
from support.dataplane.policy import egress, in_mesh, route_group
from support.kube.cluster import Cluster
from support.kube.replica import Replica

pytestmark = pytest.mark.kube

NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "curl", "labels": {"openservicemesh.io/monitored-by": "osm"}},
}


@pytest.fixture(scope="module")
def written(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with policies switched on, to which a Towpath with its own rights writes."""
    cluster.apply(NAMESPACE, mesh_config(policies=True))
    cluster.kubectl("delete", "egress,httproutegroup,upstreamtrafficsetting", "--all", "-n", "curl")
    with Replica(cluster, "writer", tmp_path_factory.mktemp("writer")):
        yield cluster


NOT_IN_FORCE = {"traffictarget": "NotEnabled", "httproutegroup": "NoEffect", "tcproute": "NoEffect"}
"""Why what says who may call whom is not accepted in permissive mode."""


def web() -> dict[str, Any]:
    """A Service to divide; it has no pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "curl"},
        "spec": {"ports": [{"port": 80}]},
    }


def mesh_config(*, policies: bool, permissive: bool = True) -> dict[str, Any]:
    return {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {
            "traffic": {"enableEgress": False, "enablePermissiveTrafficPolicyMode": permissive},
            "featureFlags": {"enableEgressPolicy": policies},
        },
    }


def setting(name: str, connections: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": name, "namespace": "curl"},
        "spec": {
            "host": "httpbin.org",
            "connectionSettings": {"tcp": {"maxConnections": connections}},
        },
    }


def service_account(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "curl"},
    }


def status(cluster: Cluster, what: str) -> dict[str, Any]:
    """The status of an object in the namespace curl."""
    found = cluster.kubectl("get", what, "-n", "curl", "-o", "json").json()
    return dict(found.get("status") or {})


def words(held: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in held.get("conditions", ())}


def until_words(cluster: Cluster, what: str, expected: dict[str, tuple[str, str]]) -> None:
    wait.until(
        lambda: words(status(cluster, what)),
        lambda seen: expected.items() <= seen.items(),
        what=f"{what} has {expected}",
        within_s=60,
    )


def notes(cluster: Cluster, name: str) -> dict[str, str]:
    """What Events say of an object, by their reason."""
    found = cluster.kubectl("events", "-n", "curl", "-o", "json").json()["items"]
    return {one["reason"]: one["message"] for one in found if one["involvedObject"]["name"] == name}


def test_kubectl_waits_for_a_policy_and_shows_what_became_of_it(written: Cluster) -> None:
    policy = egress("httpbin", (80, "http"), hosts=["httpbin.org"])
    assert written.apply(policy).exit_code == 0
    waited = written.kubectl(
        *("wait", "--for=condition=Programmed", "egress/httpbin", "-n", "curl", "--timeout=60s")
    )
    shown = written.kubectl("get", "egress", "httpbin", "-n", "curl").out.splitlines()
    wide = written.kubectl("get", "egress", "httpbin", "-n", "curl", "-o", "wide").out.splitlines()

    assert waited.exit_code == 0, waited.error
    assert ["ACCEPTED", "PROGRAMMED"] == shown[0].split()[3:5]
    assert ["True", "True"] == shown[1].split()[3:5]
    assert ["REASON", "SIDECARS", "ACKNOWLEDGED"] == wide[0].split()[5:8]
    assert ["NoSidecars", "0", "0"] == wide[1].split()[5:8]


def test_a_changed_policy_is_observed_in_its_new_generation(written: Cluster) -> None:
    for hosts in (["one.example"], ["two.example"], ["three.example"]):
        assert written.apply(egress("moving", (80, "http"), hosts=hosts)).exit_code == 0

    def observed() -> tuple[int, int]:
        found = written.kubectl("get", "egress", "moving", "-n", "curl", "-o", "json").json()
        held = found.get("status", {})
        return found["metadata"]["generation"], held.get("observedGeneration", 0)

    wait.until(observed, lambda seen: seen == (3, 3), what="generation 3 is observed", within_s=60)


def test_a_policy_that_opens_nothing_says_why_and_so_does_an_event(written: Cluster) -> None:
    policy = egress("empty", (80, "http"), hosts=["httpbin.org"], groups=["gone"])
    assert written.apply(policy).exit_code == 0
    denied = {"Accepted": ("False", "Missing"), "Programmed": ("False", "NotAccepted")}
    until_words(written, "egress/empty", denied)
    text = "spec.matches: HTTPRouteGroup curl/gone does not exist: nothing of it is allowed"
    wait.until(
        lambda: notes(written, "empty"),
        lambda seen: seen == {"Missing": text},
        what="an Event says it",
    )
    described = written.kubectl("describe", "egress", "empty", "-n", "curl").out
    assert text in described.partition("Events:")[2]

    assert written.apply(route_group("gone", "/get")).exit_code == 0
    until_words(written, "egress/empty", {"Accepted": ("True", "Accepted")})


def test_a_source_that_does_not_exist_is_told_and_refuses_nothing(written: Cluster) -> None:
    policy = egress("misspelt", (8081, "http"), hosts=["httpbin.org"], account="crul")
    assert written.apply(service_account("curl"), policy).exit_code == 0
    part = {"Accepted": ("True", "PartlyAccepted"), "Programmed": ("True", "NoSidecars")}
    until_words(written, "egress/misspelt", part)
    text = (
        "spec.sources: ServiceAccount curl/crul does not exist: the Egress selects no sidecar by "
        "it; did you mean curl?"
    )
    wait.until(
        lambda: notes(written, "misspelt"),
        lambda seen: seen == {"Missing": text},
        what="an Event says it",
    )

    assert written.apply(service_account("crul")).exit_code == 0
    until_words(written, "egress/misspelt", {"Accepted": ("True", "Accepted")})


def test_a_setting_in_conflict_says_which_one_holds(written: Cluster) -> None:
    for name, connections in (("first", 1), ("second", 2)):
        policy = egress(name, (8080, "http"), hosts=["httpbin.org"], settings=[name])
        applied = written.apply(setting(name, connections), policy)
        assert applied.exit_code == 0, applied.error
    until_words(written, "upstreamtrafficsetting/second", {"Accepted": ("True", "Conflict")})
    until_words(written, "upstreamtrafficsetting/first", {"Accepted": ("True", "Accepted")})
    wait.until(
        lambda: notes(written, "second").get("Conflict", ""),
        lambda seen: "UpstreamTrafficSetting curl/first holds instead" in seen,
        what="an Event names the setting that holds",
    )


def test_policies_between_services_say_what_became_of_them(written: Cluster) -> None:
    assert written.apply(*in_mesh("shop"), web()).exit_code == 0
    for kind in ("traffictarget", "httproutegroup", "tcproute"):
        until_words(written, f"{kind}/shop", {"Accepted": ("False", NOT_IN_FORCE[kind])})
    until_words(written, "trafficsplit/shop", {"Programmed": ("True", "NoSidecars")})
    for kind in ("retry", "ingressbackend"):
        until_words(written, f"{kind}/shop", {"Accepted": ("False", "NotEnabled")})

    assert written.apply(mesh_config(policies=True, permissive=False)).exit_code == 0
    for kind in NOT_IN_FORCE:
        until_words(written, f"{kind}/shop", {"Programmed": ("True", "NoSidecars")})
    shown = written.kubectl("get", "traffictarget", "shop", "-n", "curl").out.splitlines()
    assert ["DESTINATION", "ACCEPTED", "PROGRAMMED"] == shown[0].split()[1:4]
    assert ["web", "True", "True"] == shown[1].split()[1:4]

    [target, *_] = in_mesh("shop")
    target["spec"]["rules"] = [{"kind": "HTTPRouteGroup", "name": "nowhere"}]
    assert written.apply(target).exit_code == 0
    until_words(written, "traffictarget/shop", {"Accepted": ("False", "Missing")})
    until_words(written, "tcproute/shop", {"Accepted": ("False", "NotSupported")})
    text = "spec.rules: HTTPRouteGroup curl/nowhere does not exist: nothing of it is allowed"
    wait.until(
        lambda: notes(written, "shop").get("Missing"),
        lambda seen: seen == text,
        what="an Event says it",
    )
    assert written.apply(mesh_config(policies=True)).exit_code == 0


def test_a_deleted_and_made_again_policy_gets_its_status_again(written: Cluster) -> None:
    policy = egress("again", (80, "http"), hosts=["httpbin.org"])
    for _ in range(3):
        assert written.apply(policy).exit_code == 0
        until_words(written, "egress/again", {"Accepted": ("True", "Accepted")})
        assert written.kubectl("delete", "egress", "again", "-n", "curl").exit_code == 0


def test_the_switch_shows_on_every_policy(written: Cluster) -> None:
    written.apply(egress("switched", (80, "http"), hosts=["httpbin.org"]))
    until_words(written, "egress/switched", {"Accepted": ("True", "Accepted")})
    written.apply(mesh_config(policies=False))
    until_words(written, "egress/switched", {"Accepted": ("False", "NotEnabled")})
    written.apply(mesh_config(policies=True))
    until_words(written, "egress/switched", {"Accepted": ("True", "Accepted")})


def test_nothing_is_written_when_nothing_has_changed(written: Cluster) -> None:
    written.apply(egress("calm", (80, "http"), hosts=["httpbin.org"]))
    until_words(written, "egress/calm", {"Programmed": ("True", "NoSidecars")})
    version = ("get", "egress", "calm", "-n", "curl", "-o", "jsonpath={.metadata.resourceVersion}")
    before = written.kubectl(*version).out
    # Another policy's status is written after it: by then this one's would have been as well.
    written.apply(egress("other", (80, "http"), hosts=["httpbin.org"]))
    until_words(written, "egress/other", {"Programmed": ("True", "NoSidecars")})

    assert before == written.kubectl(*version).out


def test_after_an_outage_of_the_api_status_is_written_again(written: Cluster) -> None:
    written.kill()
    written.start()
    written.apply(egress("after", (80, "http"), hosts=["httpbin.org"]))
    until_words(written, "egress/after", {"Programmed": ("True", "NoSidecars")})


def test_a_writer_without_the_right_to_patch_says_what_to_grant(
    written: Cluster, tmp_path: Path
) -> None:
    reader = "reader"
    with Replica(written, "reader", tmp_path, identity=reader) as replica:
        wait.until(
            lambda: replica.log,
            lambda text: "grant by RBAC" in text and '["leases"], verbs: [get]' in text,
            what="the log names what to grant",
        )
        assert replica.page("/health/ready")[0] == 200
