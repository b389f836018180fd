"""Permissive mode with TrafficTargets: what the switch would refuse is counted and logged, and
switching, back and forth, loses nothing of what is allowed before and after.

`TOWPATH_TEST_TOGGLES` says how often it is switched off and on again; in `make prove` 20 times.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from support.dataplane.clients import curl, steady_calls
from support.dataplane.mesh import WITH_A_SERVICE
from support.dataplane.network import POD_ADDRESSES, ROUTER
from support.dataplane.reports import asked, observe
from support.dataplane.rig import Rig
from support.dataplane.targets import SERVICE, allow, ask, group, switch, target
from towpath.observe.access_log import AccessLog
from towpath.observe.flow import Flow, Verdict

pytestmark = pytest.mark.dataplane

TOGGLES = int(os.environ.get("TOWPATH_TEST_TOGGLES", "2"))
SERVER, POD = "bookstore-0", POD_ADDRESSES["bookstore-0"]
DENIED = "http.inbound-mesh_8080.rbac.{}denied"
BUYERS = "bookstore/buyers"
GRANTED = "http.inbound-mesh_8080.rbac.policy.bookstore/buyers.shadow_allowed"
CALLS = ("/books/1", "/books/2?x", "/", "/admin", "/books/../admin")
"""What the client asks for; the first two are granted."""


@pytest.fixture(scope="module")
def permissive(open_mesh: Any) -> Rig:
    """The mesh in permissive mode, as it comes."""
    rig: Rig = open_mesh(WITH_A_SERVICE)
    return rig


def counted(rig: Rig) -> tuple[int, int, int]:
    """Requests that were refused, would have been, and that the target would have granted."""
    stat = rig.sidecars[SERVER].admin.stat
    return stat(DENIED.format("")), stat(DENIED.format("shadow_")), stat(GRANTED)


def statuses(rig: Rig) -> list[int]:
    """What becomes of the client's calls, and of one from elsewhere."""
    calls = [curl(rig.client, f"http://{SERVICE}{path}", "--path-as-is").status for path in CALLS]
    return [*calls, curl(rig.network.control, f"http://{POD}:8080/books/1").status]


def shadowing(rig: Rig, *, wanted: str) -> None:
    """Wait until the server's sidecar counts by that target; "": until it counts no longer."""
    routes = rig.sidecars[SERVER].admin.routes

    def counts() -> bool:
        text = json.dumps(routes())
        return wanted in text if "shadow_rules" in text else not wanted

    rig.sidecars[SERVER].until(counts, bool, what=f"shadow rules: {wanted or 'none'}")


def refusals(rig: Rig) -> list[Flow]:
    """What the server's sidecar has logged of requests that are refused, or would be."""
    log = AccessLog(refusals=True, paths=True)
    lines = (json.dumps(line).encode() for line in rig.sidecars[SERVER].access_log())
    return [report.flow for line in lines if (report := log.report(line))]


def test_what_is_counted_is_what_is_then_refused_and_the_log_names_the_caller(
    permissive: Rig,
) -> None:
    shadowing(permissive, wanted="")
    allow(permissive, target("buyers", "curl", "read"), group("read", "/books/.*", ["GET"]))
    shadowing(permissive, wanted=BUYERS)
    let_in = statuses(permissive)
    in_shadow = counted(permissive)
    switch(permissive, permissive=False)
    shadowing(permissive, wanted="")
    before, *_ = counted(permissive)
    refused = statuses(permissive)
    enforced, *_ = counted(permissive)
    flows = permissive.sidecars[SERVER].until(
        lambda: refusals(permissive), lambda seen: len(seen) >= 8, what="eight lines of the log"
    )
    switch(permissive, permissive=True)
    shadowing(permissive, wanted=BUYERS)

    assert [200] * 6 == let_in
    assert (0, 4, 2) == in_shadow
    assert [200, 200, 403, 403, 403, 403] == refused
    assert 4 == enforced - before
    would_be, were = (
        {(flow.source, flow.path) for flow in flows if flow.verdict is verdict}
        for verdict in (Verdict.WOULD_DENY, Verdict.DENY)
    )
    mine = POD_ADDRESSES["curl"]
    paths = {(mine, "/"), (mine, "/admin"), (mine, "/books/../admin")}
    assert paths | {(ROUTER, "/books/1")} == would_be
    assert would_be == were


def test_status_says_what_the_switch_would_refuse_as_sidecars_report_it(permissive: Rig) -> None:
    observe(permissive, "reports")
    allow(permissive, target("status", "curl", "read"), group("read", "/books/.*", ["GET"]))
    shadowing(permissive, wanted="bookstore/status")

    def asked_again() -> set[tuple[Any, ...]]:
        statuses(permissive)
        answer = json.loads(asked(permissive, "status", "-o", "json").stdout)
        assert answer["countsRefusals"]
        return {
            (
                *(one["serviceAccount"] or one["podAddress"], one["host"], one["port"]),
                *(one["verdict"], tuple(one["policies"])),
            )
            for one in answer["wouldDeny"]
        }

    would = permissive.sidecars[SERVER].until(
        asked_again, lambda seen: len(seen) == 2, what="both callers are in the status"
    )
    table = asked(permissive, "status").stdout
    again = asked(permissive, "observe", "--inside").stdout
    observe(permissive, "disabled")

    called = ("bookstore/bookstore", 8080, "WOULD_DENY")
    assert {
        ("curl/curl", *called, ("bookstore/status",)),
        (ROUTER, *called, ()),
    } == would
    assert "GET of curl/curl to bookstore/bookstore, port 8080, would be refused" in table
    assert "TrafficTarget bookstore/status grants it other requests" in table
    assert "would deny" in again


def test_switching_back_and_forth_loses_no_call_that_is_allowed(permissive: Rig) -> None:
    allow(permissive, target("roots", "curl", "root"), group("root", "/", ["GET"]))
    shadowing(permissive, wanted="bookstore/roots")

    async def toggled() -> tuple[int, int]:
        async with steady_calls(permissive.client, (SERVICE, 80)) as tally:
            with permissive.network.control.connect(POD, 8080) as stranger:
                for step in range(2 * TOGGLES):
                    on = bool(step % 2)
                    await asyncio.to_thread(switch, permissive, permissive=on)
                    # On one connection that lives on: the next request follows what changed.
                    wanted = b"HTTP/1.1 200 OK" if on else b"HTTP/1.1 403 Forbidden"
                    async with asyncio.timeout(60):
                        while await asyncio.to_thread(ask, stranger) != wanted:
                            await asyncio.sleep(0)
                    reached = tally.opened
                    async with asyncio.timeout(60):
                        while tally.opened < reached + 20:
                            await asyncio.sleep(0)
        return tally.opened, tally.lost

    opened, lost = asyncio.run(toggled())

    assert 0 == lost
    print(f"{opened} calls during {2 * TOGGLES} switches, {lost} lost")
