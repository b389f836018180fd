"""A policy that breaks opens nothing: not what it refused, nor anything else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from support.dataplane.clients import curl
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import CUT, Document, egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

HTTPBIN, OTHER, ELSEWHERE = OUTSIDE[0], OUTSIDE[1], OUTSIDE[5]
AWAY = ("--resolve", f"httpbin.org:443:{ELSEWHERE}")
SETTING: Document = {
    "apiVersion": "policy.openservicemesh.io/v1alpha1",
    "kind": "UpstreamTrafficSetting",
    "metadata": {"name": "limits", "namespace": "curl"},
    "spec": {
        "host": "httpbin.org",
        "connectionSettings": {"tcp": {"maxConnections": 10}},
    },
}
WHOLE = (
    egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"], settings=["limits"]),
    egress(
        "there",
        (443, "https"),
        hosts=["httpbin.org"],
        ranges=[f"{HTTPBIN}/32"],
        settings=["limits"],
    ),
    route_group("g", "/get"),
    SETTING,
)
GOOD = egress("good", (80, "http"), (443, "https"), hosts=["openservicemesh.io"])


def without_the_setting(documents: list[Document]) -> list[Document]:
    return [one for one in documents if one != SETTING]


def misspelt(field: str, instead: str) -> Callable[[list[Document]], list[Document]]:
    """Misspell a field of the specification of every policy that has it."""

    def changed(documents: list[Document]) -> list[Document]:
        for spec in (one["spec"] for one in documents if one["kind"] == "Egress"):
            if field in spec:
                spec[instead] = spec.pop(field)
            else:
                spec[instead] = []
        return documents

    return changed


def invalid_limit(documents: list[Document]) -> list[Document]:
    for one in documents:
        if one == SETTING:
            one["spec"]["connectionSettings"]["tcp"]["maxConnections"] = "ten"
    return documents


def broken(how: Callable[[list[Document]], list[Document]]) -> list[Document]:
    return how(copy.deepcopy(list(WHOLE)))


BREAKINGS = [
    pytest.param(without_the_setting, id="its-setting-is-deleted"),
    pytest.param(invalid_limit, id="a-limit-of-its-setting-is-invalid"),
    pytest.param(misspelt("ipAddresses", "ipAdresses"), id="ipAddresses-is-misspelt"),
    pytest.param(misspelt("matches", "match"), id="matches-is-misspelt"),
]


@pytest.mark.parametrize("how", BREAKINGS)
def test_with_passthrough_a_host_stays_refused_when_its_policy_breaks(
    outside: Rig, how: Callable[[list[Document]], list[Document]]
) -> None:
    trusting = ("--cacert", str(outside.hosts.ca))
    outside.manifests.apply(*WHOLE)
    outside.manifests.set_egress(on=True)
    until_curl(outside, "http://httpbin.org/get", status=200)
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)
    until_curl(outside, f"http://{ELSEWHERE}/", status=200)
    assert refused(outside)

    outside.manifests.apply(*broken(how))
    until_curl(outside, "http://httpbin.org/get", status=404)
    until_curl(outside, "https://httpbin.org/", *trusting, exits=CUT)

    assert refused(outside)
    for url in ("http://openservicemesh.io/", "https://openservicemesh.io/"):
        done = curl(outside.client, url, "--include", *trusting)
        assert (done.status, served_at(done.body)) == (200, OTHER)

    outside.manifests.apply(*WHOLE)
    until_curl(outside, "http://httpbin.org/get", status=200)
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)


@pytest.mark.parametrize("how", BREAKINGS)
def test_without_passthrough_a_broken_policy_opens_nothing_and_others_do(
    outside: Rig, how: Callable[[list[Document]], list[Document]]
) -> None:
    trusting = ("--cacert", str(outside.hosts.ca))
    outside.manifests.apply(*broken(how), GOOD)
    until_curl(outside, "http://openservicemesh.io/", status=200)
    until_curl(outside, "https://openservicemesh.io/", *trusting, status=200)

    assert curl(outside.client, "http://httpbin.org/get").status == 404
    assert curl(outside.client, "https://httpbin.org/", *trusting).exit_code in CUT
    assert refused(outside)
    assert curl(outside.client, f"http://{ELSEWHERE}/").status == 404


@pytest.mark.parametrize(
    "match",
    [
        pytest.param({"name": "m", "pathRegx": "/get"}, id="pathRegx"),
        pytest.param({"name": "m", "pathRegex": "/get", "method": ["GET"]}, id="method"),
        pytest.param({"name": "m", "pathRegex": "/get", "header": [{"a": "b"}]}, id="header"),
    ],
)
@pytest.mark.parametrize("passthrough", [True, False])
def test_a_match_with_a_misspelt_field_lets_no_request_out(
    outside: Rig, match: dict[str, Any], *, passthrough: bool
) -> None:
    group = route_group("g", "/echo")
    group["spec"]["matches"].append(match)
    policy = egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"])
    outside.manifests.apply(policy, group)
    outside.manifests.set_egress(on=passthrough)
    until_curl(outside, "http://httpbin.org/echo", status=200)
    until_curl(outside, f"http://{ELSEWHERE}/", status=200 if passthrough else 404)

    asked = [curl(outside.client, f"http://httpbin.org/{path}").status for path in ("get", "other")]
    assert asked == [404, 404]


def refused(rig: Rig) -> bool:
    """True if what the whole policies refuse is refused: other paths, and other addresses."""
    other_path = curl(rig.client, "http://httpbin.org/other")
    elsewhere = curl(rig.client, "https://httpbin.org/", *AWAY, "--cacert", str(rig.hosts.ca))
    return other_path.status == 404 and elsewhere.exit_code in CUT


def served_at(body: str) -> str:
    """The address that an answer says it came from."""
    line = next(one for one in body.splitlines() if one.startswith("x-served-at: "))
    return line.removeprefix("x-served-at: ").rpartition(":")[0]
