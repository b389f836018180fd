"""Generated TrafficTargets by mutual TLS: a real Envoy, `explain`, and the plain union of grants
agree on callers that are told by their certificates, wherever they call from.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.dataplane import encrypting
from support.dataplane.encrypted import Encrypted, open_encrypted
from support.dataplane.hosts import Hosts
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.sink import MARK, arrival, first_bytes
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
    mesh_with,
)
from support.grants import BY_REQUEST, World, comes_in, comes_in_by_certificate
from support.marked import with_authority
from towpath.ca.leaves import LeafSigner
from towpath.encode.envoy.bootstrap import Transport
from towpath.encode.envoy.tls import ALPN
from towpath.model.identity import Window
from towpath.model.names import Account, Protocol
from towpath.planning.egress.decide import Attempt

pytestmark = [pytest.mark.dataplane, pytest.mark.timeout(1800)]

CASES = int(os.environ.get("TOWPATH_FUZZ_CASES", "6"))
CALLS = 24
FIRST_SEED = int(os.environ.get("TOWPATH_FUZZ_SEED", "1")) + 200_000
POD = POD_ADDRESSES["bookstore-0"]
ACCOUNTS = (
    ("curl", "curl"),
    ("curl", "a"),
    ("curl", "b"),
    ("bookstore", "c"),
    ("bank", "outsider"),
    ("curl", "nobody"),
)
"""Who has a certificate; of the last nobody speaks."""
IN_EFFECT_S = 30.0


@pytest.fixture(scope="module")
def closed(
    network: Network, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Encrypted]:
    """The same mesh as that of the other generated targets, whose client and server are marked."""
    folder = tmp_path_factory.mktemp("closed")
    with (
        open_encrypted(
            network, hosts, transport=Transport.DELTA, folder=folder, prepare=close_and_open_ports
        ) as mesh,
        callers(mesh.rig),
    ):
        yield mesh


@pytest.fixture(scope="module")
def contexts(
    closed: Encrypted, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], ssl.SSLContext]:
    """What speaks mutual TLS as each account."""
    authority = encrypting.authority(closed.authority)
    signer = LeafSigner.derived(authority, encrypting.TRUST_DOMAIN)
    window = Window(datetime.now(UTC) - timedelta(hours=1), timedelta(hours=12))
    folder = tmp_path_factory.mktemp("leaves")
    return {
        (namespace, name): _context(
            signer, window, Account(namespace, name), folder / f"{namespace}.{name}"
        )
        for namespace, name in ACCOUNTS
    }


async def test_by_certificate_envoy_explain_and_the_union_of_grants_agree(
    closed: Encrypted, contexts: dict[tuple[str, str], ssl.SSLContext]
) -> None:
    rig = closed.rig
    let_in = []
    for seed in range(FIRST_SEED, FIRST_SEED + CASES):
        tried, dice = case(seed, calls=CALLS), random.Random(seed)
        rig.manifests.apply(*tried.documents)
        await _in_effect(closed, contexts, tried)
        world = World(tried.documents, CALLERS, SERVER, MONITORED)
        mesh = with_authority(mesh_with(rig, tried))
        for call in tried.calls:
            account = dice.choice(ACCOUNTS)
            if call.address == CURL.address:
                account = ("curl", "curl")
            union = _wanted(world, account, call)
            if call.caller == CURL:
                assert union == explained(mesh, CURL, call), (seed, call)
            await _agrees(closed, contexts, account, call, wanted=union)
            let_in.append(union)

    assert CASES * CALLS == len(let_in)
    assert 0.1 < sum(let_in) / len(let_in) < 0.9, "the cases are not worth much"
    print(f"{len(let_in)} calls compared, {sum(let_in)} of them let in")


def _wanted(world: World, account: tuple[str, str], call: Call) -> bool:
    """Bytes need any certificate of the mesh, and the address of a pod that may send them."""
    if SERVER.ports[call.port] in BY_REQUEST:
        return comes_in_by_certificate(world, account, call.port, call.attempt)
    return comes_in(world, call.address, call.port, call.attempt)


async def _in_effect(
    closed: Encrypted, contexts: dict[tuple[str, str], ssl.SSLContext], tried: Case
) -> None:
    """Wait until the server's sidecar obeys what stands for this case alone."""
    request = Attempt(POD, HTTP_A, Protocol.HTTP, "shop", path=tried.marker)
    address = next(one.address for one in CALLERS if one.account == "a")
    marker = Call(address, None, HTTP_A, request)
    async with asyncio.timeout(60):
        while not await _arrives(closed, contexts["curl", "a"], marker):
            await asyncio.sleep(0.01)


async def _agrees(
    closed: Encrypted,
    contexts: dict[tuple[str, str], ssl.SSLContext],
    account: tuple[str, str],
    call: Call,
    *,
    wanted: bool,
) -> None:
    deadline = asyncio.get_running_loop().time() + IN_EFFECT_S
    while (seen := await _arrives(closed, contexts[account], call)) != wanted:
        late = asyncio.get_running_loop().time() > deadline
        assert not late, f"{account} {call}: Envoy: {seen}, union: {wanted}"
        await asyncio.sleep(0.02)


async def _arrives(closed: Encrypted, context: ssl.SSLContext, call: Call) -> bool:
    """Through the client's sidecar, or by mutual TLS straight to the pod."""
    if call.address == CURL.address:
        attempt = replace(call.attempt, address=SERVICE, port=dialled(call))
        return bool(await arrival(closed.rig.client, attempt))
    attempt = replace(call.attempt, address=POD)
    return MARK in await asyncio.to_thread(_answer, closed, context, attempt, call.address)


def _answer(closed: Encrypted, context: ssl.SSLContext, attempt: Attempt, source: str) -> bytes:
    """What is answered; nothing where the connection is refused or closed."""
    assert attempt.address is not None
    control = closed.rig.network.control
    try:
        with control.connect(attempt.address, attempt.port, source=source) as connection:
            connection.settimeout(10)
            with context.wrap_socket(connection, server_hostname="bookstore") as secure:
                secure.sendall(first_bytes(attempt))
                return bytes(secure.recv(4096))
    except OSError:
        return b""


def _context(signer: LeafSigner, window: Window, account: Account, path: Path) -> ssl.SSLContext:
    leaf = signer.leaf(account, window)
    path.write_bytes(leaf.certificate_chain + leaf.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=signer.authority.trusted.decode())
    context.load_cert_chain(path)
    context.set_alpn_protocols([ALPN])
    return context
