"""Generated TrafficTargets: a real Envoy, `explain`, and the plain union of grants agree.

`TOWPATH_FUZZ_CASES` sets how many cases are tried in each variant of the protocol; `make
fuzz-targets` tries many.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from support.dataplane.mesh import WITH_A_SERVICE
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.sink import arrival
from support.dataplane.target_cases import (
    CALLERS,
    CURL,
    HTTP_A,
    MONITORED,
    SERVER,
    Call,
    Case,
    case,
)
from support.dataplane.target_rig import (
    SERVICE,
    callers,
    close_and_open_ports,
    dialled,
    explained,
    explained_by_address,
    mesh_with,
)
from support.grants import World, comes_in
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

pytestmark = [pytest.mark.dataplane, pytest.mark.timeout(1800)]

CASES = int(os.environ.get("TOWPATH_FUZZ_CASES", "15"))
CALLS = 24
FIRST_SEED = int(os.environ.get("TOWPATH_FUZZ_SEED", "1"))
POD = POD_ADDRESSES["bookstore-0"]
IN_EFFECT_S = 30.0
"""A sidecar acknowledges a moment before it obeys: so long a difference may last."""


@pytest.fixture(scope="module")
def closed(open_mesh: Any) -> Iterator[Rig]:
    """The mesh without permissive mode, whose server has a port of every sort; beside the one
    client with a sidecar, callers without one at addresses of their own.
    """
    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=close_and_open_ports)
    with callers(rig):
        yield rig


async def test_envoy_explain_and_the_union_of_grants_agree(closed: Rig) -> None:
    rejected = closed.towpath.metric("towpath_xds_nacks_total")
    first = FIRST_SEED + (0 if closed.transport.name == "SOTW" else 100_000)
    let_in = []
    for seed in range(first, first + CASES):
        tried = case(seed, calls=CALLS)
        closed.manifests.apply(*tried.documents)
        await _in_effect(closed, tried)
        let_in += await _compare(closed, tried)

    assert rejected == closed.towpath.metric("towpath_xds_nacks_total")
    assert CASES * CALLS == len(let_in)
    assert 0.1 < sum(let_in) / len(let_in) < 0.9, "the cases are not worth much"
    print(f"{len(let_in)} calls compared, {sum(let_in)} of them let in")


async def _in_effect(rig: Rig, tried: Case) -> None:
    """Wait until the server's sidecar obeys what stands for this case alone."""
    request = Attempt(POD, HTTP_A, Protocol.HTTP, "shop", path=tried.marker)
    marker = Call(next(c.address for c in CALLERS if c.account == "a"), None, HTTP_A, request)
    async with asyncio.timeout(60):
        while not await _arrives(rig, marker):
            await asyncio.sleep(0.01)


async def _compare(rig: Rig, tried: Case) -> list[bool]:
    world = World(tried.documents, CALLERS, SERVER, MONITORED)
    mesh = mesh_with(rig, tried)
    wanted = [comes_in(world, call.address, call.port, call.attempt) for call in tried.calls]
    for call, union in zip(tried.calls, wanted, strict=True):
        if call.caller is None:
            answer = explained_by_address(mesh, call)
        else:
            answer = explained(mesh, call.caller, call)
        assert union == answer, _report(tried, call, f"explain: {answer}, union: {union}")
    pairs = zip(tried.calls, wanted, strict=True)
    await asyncio.gather(*(_agrees(rig, tried, call, union) for call, union in pairs))
    return wanted


async def _agrees(rig: Rig, tried: Case, call: Call, wanted: bool) -> None:  # noqa: FBT001 (what the union says)
    deadline = asyncio.get_running_loop().time() + IN_EFFECT_S
    while (seen := await _arrives(rig, call)) != wanted:
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(_report(tried, call, f"Envoy: {seen}, union: {wanted}"))
        await asyncio.sleep(0.02)


async def _arrives(rig: Rig, call: Call) -> bool:
    """Through the client's sidecar to the service, or from elsewhere straight to the pod."""
    if call.address == CURL.address:
        attempt = replace(call.attempt, address=SERVICE, port=dialled(call))
        return bool(await arrival(rig.client, attempt))
    attempt = replace(call.attempt, address=POD)
    return bool(await arrival(rig.network.control, attempt, source=call.address))


def _report(tried: Case, call: Call, what: str) -> str:
    policies = yaml.safe_dump_all(
        [one for one in tried.documents if one["kind"] == "TrafficTarget"], sort_keys=False
    )
    return f"seed {tried.seed}: {what}\n{call}\n{policies}"
