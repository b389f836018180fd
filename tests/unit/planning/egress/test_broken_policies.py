"""With passthrough on, a policy that is broken opens nothing of what it refused."""

from __future__ import annotations

from typing import Any

import pytest

from support.egress_yaml import egress_object, port, result_of, setting_match, setting_object
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt, decide

ADDRESS = "192.0.2.9"
WHOLE = {"hosts": ["a.test"], "ports": [port(80, "http"), port(443, "https")]}
LIMITED = {**WHOLE, "matches": [setting_match()]}


def said(*objects: dict[str, Any], host: str = "a.test") -> list[bool]:
    """What becomes of plain HTTP and of TLS for a host."""
    plan = result_of(*objects, passthrough=True).plan
    return [
        decide(plan, Attempt(ADDRESS, number, protocol, host)).allowed
        for number, protocol in ((80, Protocol.HTTP), (443, Protocol.HTTPS))
    ]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([egress_object(**LIMITED)], id="its setting is missing"),
        pytest.param(
            [egress_object(**LIMITED), setting_object(maxConnections="ten")],
            id="a limit of its setting is invalid",
        ),
        pytest.param(
            [egress_object(**{**LIMITED, "matches": [setting_match(), setting_match("other")]})],
            id="it refers to two settings",
        ),
        pytest.param([egress_object(**WHOLE, ipAddresses=["10.0.0.0/99"])], id="no valid range"),
        pytest.param(
            [egress_object(**{**WHOLE, "ports": [port(80, "htp"), port(443, "tls")]})],
            id="its protocols are unknown",
        ),
        pytest.param([egress_object(**WHOLE, ipAdresses=["10.0.0.0/8"])], id="a field is misspelt"),
    ],
)
def test_a_host_that_a_broken_policy_names_stays_refused(broken: list[dict[str, Any]]) -> None:
    assert said(*broken) == [False, False]
    assert said(*broken, host="other.test") == [True, True]


def test_the_same_policy_lets_its_host_out_when_it_is_whole() -> None:
    assert said(egress_object(**LIMITED), setting_object(maxConnections=10)) == [True, True]
