"""How often, and for what, a sidecar asks the name server."""

from __future__ import annotations

import pytest

from support.dataplane.policy import egress
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

SLOW = ("a.slow.test", "b.slow.test", "c.slow.test")
"""Their answers hold for 300 s."""
FAST = "a.fast.test"
"""Its answers hold for 1 s: each of its questions is a second that has passed, or more."""
SECONDS = 12


def test_an_idle_sidecar_asks_once_in_a_ttl_and_for_the_name_alone(outside: Rig) -> None:
    before = outside.hosts.asked
    outside.manifests.apply(
        egress("slow", (80, "http"), (443, "https"), hosts=SLOW),
        egress("fast", (80, "http"), hosts=[FAST]),
    )
    outside.sidecar.until(
        lambda: outside.hosts.asked.get(FAST, 0) - before.get(FAST, 0),
        lambda times: times > SECONDS,
        what=f"{SECONDS} seconds have passed",
        within_s=60,
    )
    asked = {n: times - before.get(n, 0) for n, times in outside.hosts.asked.items()}
    about = {name: times for name, times in asked.items() if "slow" in name and times}

    # Once for each port; the search list would have made `a.slow.test.cluster.local` of it.
    assert about == dict.fromkeys(SLOW, 2)
