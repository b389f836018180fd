"""The rules of the redirect: what they say for each list; what they do is told by packets."""

from __future__ import annotations

import re

import pytest
import yaml

from support.deploy import DEPLOY
from towpath.inject.redirect import SIDECAR_UID, redirect
from towpath.model.injection import RedirectLists

EVERYTHING = RedirectLists(
    excluded_outbound_ports=tuple(range(7001, 7041)),
    excluded_inbound_ports=tuple(range(9001, 9021)),
    excluded_ranges=("10.20.0.0/16", "10.20.30.0/24", "192.0.2.1/32"),
    included_ranges=("10.0.0.0/8", "172.16.0.0/12"),
    excluded_interfaces=("docker0", "net+"),
)


def test_a_rule_has_no_more_ports_than_iptables_takes() -> None:
    multiport = re.findall(r"--dports (\S+)", redirect(EVERYTHING))
    counts = [len(ports.split(",")) for ports in multiport]

    # Inbound, outbound, and what was not redirected.
    assert [15, 10, *[15, 15, 10] * 2] == counts
    named = {int(port) for ports in multiport for port in ports.split(",")}
    own = {15010, 15901, 15902, 15903, 15904}
    assert own | {*range(7001, 7041), *range(9001, 9021)} == named


def test_exclusions_come_before_inclusions_and_the_rest_passes_by() -> None:
    lines = redirect(EVERYTHING).splitlines()
    rest = [line for line in lines if line.startswith("-A OSM_PROXY_OUT_REST ")]
    out = [line for line in lines if line.startswith("-A OSM_PROXY_OUTBOUND ")]
    caught = [index for index, line in enumerate(out) if "OSM_PROXY_OUT_REDIRECT" in line]

    assert [len(out) - 3, len(out) - 2] == caught
    assert "-A OSM_PROXY_OUTBOUND -j RETURN" == out[-1]
    # What these do not catch is let go by the others, and what they catch is not.
    caught_too = [line.replace("OUT_REST", "OUTBOUND") for line in rest[1:]]
    assert out[3:] == [line.replace("OUT_REJECT", "OUT_REDIRECT") for line in caught_too]


def test_it_is_the_redirect_of_the_example_with_pipy_if_there_is_no_list() -> None:
    """Rule by rule, but that several ports are one rule here."""
    documents = yaml.safe_load_all((DEPLOY / "demo" / "pipy" / "curl.yaml").read_text())
    (rules,) = (one["data"]["redirect.rules"] for one in documents if one["kind"] == "ConfigMap")
    written = [line for line in rules.splitlines() if line and line[0] != "#"]
    ours = redirect(RedirectLists()).splitlines()
    own = re.compile(r"-A OSM_PROXY_INBOUND -p tcp --dport (\d+) -j RETURN")
    ports = [found[1] for line in written if (found := own.fullmatch(line))]
    one = f"-A OSM_PROXY_INBOUND -p tcp -m multiport --dports {','.join(ports)} -j RETURN"

    assert one in ours
    assert [line for line in ours if line != one] == [
        line for line in written if not own.fullmatch(line)
    ]


def test_the_sidecar_is_known_by_the_user_that_it_runs_as() -> None:
    assert f"--uid-owner {SIDECAR_UID} -j RETURN" in redirect(RedirectLists())


@pytest.mark.parametrize("turned", [False, True])
def test_lists_of_the_mesh_and_of_the_pod_are_united(turned: bool) -> None:  # noqa: FBT001
    mesh = RedirectLists((80, 443), (1,), ("10.0.0.0/8", "9.0.0.0/8"), ("1.0.0.0/8",), ("eth1",))
    pod = RedirectLists((25, 80), (2,), ("10.0.0.0/8", "10.0.0.0/16"), (), ("eth0", "eth1"))
    united = pod.union(mesh) if turned else mesh.union(pod)

    ranges = ("9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16")
    expected = RedirectLists((25, 80, 443), (1, 2), ranges, ("1.0.0.0/8",), ("eth0", "eth1"))
    assert expected == united
