"""What it costs a server to renew the leaves of many accounts: CPU, the longest turn of its event
loop, memory. All of a server but gRPC and the network, with sidecars that subscribe as Envoy does.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from bench.mesh.measure import Figures, Server, TurnSelector, rss_kib
from bench.mesh.picture import Picture, Size, space
from bench.mesh.sidecar import TYPES, Login
from support.certificates import certificate_for
from support.marked import MARKED
from support.objects import mesh_config, pod
from towpath.ca import Authority
from towpath.ca.leaves import LeafSigner
from towpath.ca.windows import windows
from towpath.encode.envoy.names import certificate_of, trust_of_client, trust_of_server
from towpath.model.identity import SLOTS, Identity, Roots, slot_of
from towpath.model.names import Account
from towpath.model.workloads import Pod

SERVICES, ACCOUNTS, STREAMS = 100, 1_000, 5_000
ROUNDS = 3
DAY = timedelta(days=1)
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Marked(Picture):
    """Pods that speak mutual TLS, several to an account."""

    def fill(self) -> None:
        super().fill()
        self.store.apply(replace(mesh_config(policies=True), permissive=True))
        self._authority = Authority.create("mesh", lifetime=100 * DAY, clock=lambda: _BEGIN)
        self._times = [_BEGIN] * SLOTS
        self.identify()

    def identify(self) -> None:
        """Say in which window each slot is."""
        signer = LeafSigner.derived(self._authority, "cluster.local")
        at_times = {at: windows(at, DAY) for at in set(self._times)}
        present = {slot: at_times[at][slot] for slot, at in enumerate(self._times)}
        roots = Roots(self._authority.trusted, "cluster.local")
        self.store.identify(Identity(signer, roots, present))

    def renew_one_slot(self) -> None:
        """The leaves of the slot of the first account."""
        self._times[slot_of(self.account(0))] += DAY / 2
        self.identify()

    def renew_all(self) -> None:
        """Every leaf at once, as after a change of the validity."""
        self._times = [at + DAY / 2 for at in self._times]
        self.identify()

    def accounts_in_slot(self) -> int:
        """How many share the slot of the first account."""
        slots = [slot_of(self.account(number)) for number in range(ACCOUNTS)]
        return slots.count(slots[0])

    def account(self, number: int) -> Account:
        """That of the pod of this number."""
        return Account(space(number % self.size.services), f"account-{number % ACCOUNTS}")

    def login(self, number: int) -> Login:
        account = self.account(number)
        return Login(
            _certificate(account),
            (certificate_of(account), trust_of_server(account), *_trusts(self.size.services)),
        )

    def _pod(self, number: int) -> Pod:
        one = super()._pod(number)
        return pod(
            one.name,
            in_namespace=one.namespace,
            account=self.account(number).name,
            app=dict(one.labels)["app"],
            more_labels=MARKED,
            addresses=one.addresses,
        )


@cache
def _certificate(account: Account) -> bytes:
    uri = f"spiffe://cluster.local/ns/{account.namespace}/sa/{account.name}"
    return certificate_for(uri).certificate


@cache
def _trusts(services: int) -> tuple[str, ...]:
    return tuple(trust_of_client(space(one), f"svc-{one}") for one in range(services))


def main() -> int:
    """Print a row for each thing that was done."""
    print(f"\n{SERVICES} services, {ACCOUNTS:,} accounts, {STREAMS:,} streams, delta")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(_measure)
    return 0


def _measure() -> None:
    selector = TurnSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_rotate(selector))


async def _rotate(selector: TurnSelector) -> None:
    size = Size(SERVICES, STREAMS, STREAMS)
    server = Server(size, delta=True, selector=selector, picture=Marked, plaintext=False)
    picture = server.picture
    assert isinstance(picture, Marked)
    for number in range(ACCOUNTS):
        picture.login(number)  # what the sidecars themselves cost is not counted
    await server.start()
    before = rss_kib()
    _print("connect", await server.measure(server.connect, least=(len(TYPES) + 1) * STREAMS))
    gc.collect()
    print(f"{(rss_kib() - before) / STREAMS:.0f} KiB a stream; {rss_kib() / 1024:.0f} MiB in all")
    few = picture.accounts_in_slot()
    for name, change, concerned in (
        (f"{few} accounts", picture.renew_one_slot, few * STREAMS // ACCOUNTS),
        ("all accounts", picture.renew_all, STREAMS),
    ):
        for _ in range(ROUNDS):
            _print(f"renew {name}", await server.measure(change, least=concerned))
    # A collection goes through all that the process holds, the benchmark's own sidecars too.
    gc.disable()
    what = "the same, no garbage collected"
    _print(what, await server.measure(picture.renew_all, least=STREAMS))
    print(f"{rss_kib() / 1024:.0f} MiB at the end")
    await server.stop()


def _print(what: str, one: Figures) -> None:
    print(
        f"{what:30} CPU {one.total_ms / 1000:7.2f} s, {one.cpu_ms:.2f} ms a stream; last after "
        f"{one.last_s:6.2f} s; longest turn {one.hold_ms:4.0f} ms; {one.responses:.2f} responses "
        f"of {one.kb:.1f} KB each",
        flush=True,
    )
