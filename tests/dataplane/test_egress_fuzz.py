"""Generated policies: a real Envoy, `explain`, and the plain union of all rules agree.

`TOWPATH_FUZZ_CASES` sets how many cases are tried in each variant of the protocol; `make
fuzz-egress` tries many.
"""

from __future__ import annotations

import asyncio
import os

import grpc
import pytest
import yaml

from support.dataplane.fuzz import Case, case
from support.dataplane.hosts import NAMES
from support.dataplane.relay import relay
from support.dataplane.rig import Rig
from support.dataplane.sink import arrival
from support.objects import mesh_config, mesh_of, namespace
from support.oracle import allowed
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.planning import outbound
from towpath.planning.egress.decide import Attempt, Decision, bare, decide
from towpath.planning.egress.rules import rules
from towpath.sources.decode import decode
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

pytestmark = [pytest.mark.dataplane, pytest.mark.timeout(1800)]

CASES = int(os.environ.get("TOWPATH_FUZZ_CASES", "40"))
ATTEMPTS = 20
FIRST_SEED = int(os.environ.get("TOWPATH_FUZZ_SEED", "1"))
CURL = Account("curl", "curl")
IN_EFFECT_S = 30.0
"""A sidecar acknowledges a moment before it obeys: so long a difference may last."""


async def test_envoy_explain_and_the_plain_union_agree(outside: Rig) -> None:
    refused = compared = 0
    rejected = outside.towpath.metric("towpath_xds_nacks_total")
    first = FIRST_SEED + (0 if outside.transport.name == "SOTW" else 100_000)
    async with (
        relay(outside.network.control, *outside.towpath.ads) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        inspector = pb_grpc.InspectorStub(channel)
        for seed in range(first, first + CASES):
            tried = case(seed, attempts=ATTEMPTS)
            outside.manifests.set_egress(on=tried.passthrough)
            outside.manifests.apply(*tried.documents)
            await _acknowledged(inspector, tried)
            decisions = await _compare(outside, tried)
            compared += len(decisions)
            refused += sum(not decision.allowed for decision in decisions)

    assert outside.towpath.metric("towpath_xds_nacks_total") == rejected
    assert compared == CASES * ATTEMPTS
    assert compared * 0.1 < refused < compared * 0.9, "the cases are not worth much"
    print(f"{compared} attempts compared, {refused} of them refused")


async def _acknowledged(inspector: pb_grpc.InspectorAsyncStub, tried: Case) -> None:
    """Wait until the sidecar has accepted everything that stands for this case."""
    async with asyncio.timeout(60):
        while True:
            answer = await inspector.ListPolicies(pb.ListPoliciesRequest())
            marker = [p for p in answer.policies if p.name == tried.marker]
            if marker and marker[0].acknowledged_sidecars == marker[0].affected_sidecars == 1:
                return
            await asyncio.sleep(0.005)


async def _compare(rig: Rig, tried: Case) -> list[Decision]:
    mesh = _mesh(tried)
    plan = outbound(mesh, CURL)
    decisions = [decide(plan, attempt) for attempt in tried.attempts]
    for attempt, decision in zip(tried.attempts, decisions, strict=True):
        union = allowed(rules(mesh, CURL), attempt, passthrough=tried.passthrough)
        assert union == decision.allowed, _report(tried, attempt, decision, "the union differs")
    pairs = zip(tried.attempts, decisions, strict=True)
    await asyncio.gather(*(_agrees(rig, tried, attempt, d) for attempt, d in pairs))
    return decisions


async def _agrees(rig: Rig, tried: Case, attempt: Attempt, decision: Decision) -> None:
    wanted = _wanted(attempt, decision)
    alpn = ("h2", "http/1.1") if tried.seed % 2 else ()
    deadline = asyncio.get_running_loop().time() + IN_EFFECT_S
    while (seen := await arrival(rig.client, attempt, alpn=alpn)) != wanted:
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(_report(tried, attempt, decision, f"{seen!r}, not {wanted!r}"))
        await asyncio.sleep(0.02)


def _wanted(attempt: Attempt, decision: Decision) -> str:
    """Where the attempt is to arrive: a looked-up host's address, or the one dialled."""
    if decision.via is None:
        return ""
    looked_up = ":" in decision.via
    address = NAMES[bare(attempt.host.lower(), attempt.port)] if looked_up else attempt.address
    return f"{address}:{attempt.port}"


def _mesh(tried: Case) -> Mesh:
    found = [decode(document, "fuzz.yaml") for document in tried.documents]
    switches = mesh_config(policies=True, egress=tried.passthrough)
    values = [one.value for one in found if one.value is not None]
    return mesh_of(namespace("curl"), switches, *values)


def _report(tried: Case, attempt: Attempt, decision: Decision, what: str) -> str:
    policies = yaml.safe_dump_all(tried.documents, sort_keys=False)
    protocol = Protocol(attempt.protocol)
    return (
        f"seed {tried.seed}, passthrough {tried.passthrough}: {what}\n{protocol} {attempt}\n"
        f"explain: {decision}\n{policies}"
    )
