"""Lease: one holder at a time, on an API that keeps what is written, in a time of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from support.fake_time import Now, run_in_fake_time
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.lease import Lease, micro_time, replica_name


@dataclass
class Kept:
    """The one Lease, written as an API server would; `away` makes every request fail."""

    lease: dict[str, Any] | None = None
    version: int = 0
    away: bool = False
    garbage: bool = False
    writes: list[str] = field(default_factory=list)

    async def get(self, _path: str, _query: Mapping[str, str], **_: object) -> bytes:
        self._answer()
        if self.garbage:
            return b"<html>"
        if self.lease is None:
            raise KubeApiError(404, "not found")
        return json.dumps(self.lease).encode()

    async def write(self, method: str, _path: str, body: Mapping[str, Any], **_: object) -> bytes:
        self._answer()
        held = (self.lease or {}).get("metadata", {}).get("resourceVersion")
        if (method == "POST") is (self.lease is not None):
            raise KubeApiError(409, "already exists")
        if body["metadata"].get("resourceVersion") != held:
            raise KubeApiError(409, "the object has been modified")
        self.version += 1
        self.writes.append(body["spec"]["holderIdentity"])
        stamped = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = json.loads(json.dumps({**body, "metadata": stamped}))
        return json.dumps(self.lease).encode()

    def _answer(self) -> None:
        if self.away:
            raise KubeApiError(0, "nobody answers")


def _claim(kept: Kept, identity: str, clock: Now) -> Lease:
    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    api = cast("KubeApi", kept)
    return Lease(api, namespace="osm-system", name="one", identity=identity, clock=clock, now=now)


async def _until_held(lease: Lease) -> None:
    async with asyncio.timeout(120):
        while not lease.held:
            await asyncio.sleep(0.1)


def test_one_of_two_holds_it_and_keeps_it() -> None:
    async def scenario(clock: Now) -> None:
        kept = Kept()
        a, b = _claim(kept, "a", clock), _claim(kept, "b", clock)
        running = [asyncio.ensure_future(one.run()) for one in (a, b)]
        await _until_held(a)
        await asyncio.sleep(120)

        assert (True, False) == (a.held, b.held)
        assert {"a"} == set(kept.writes)
        for one in running:
            one.cancel()
        await asyncio.wait(running)

    run_in_fake_time(scenario)


def test_it_is_given_back_at_the_end_and_taken_at_once() -> None:
    async def scenario(clock: Now) -> None:
        kept = Kept()
        a, b = _claim(kept, "a", clock), _claim(kept, "b", clock)
        first, second = asyncio.ensure_future(a.run()), None
        await _until_held(a)
        second = asyncio.ensure_future(b.run())
        await asyncio.sleep(5)
        first.cancel()
        await asyncio.wait([first])
        ended = clock()
        await _until_held(b)

        assert clock() - ended <= 2
        assert not a.held
        assert kept.lease is not None
        assert kept.lease["spec"]["leaseTransitions"] == 1
        second.cancel()
        await asyncio.wait([second])

    run_in_fake_time(scenario)


def test_who_stops_renewing_loses_it_before_another_takes_it() -> None:
    async def scenario(clock: Now) -> None:
        kept = Kept()
        a, b = _claim(kept, "a", clock), _claim(kept, "b", clock)
        first = asyncio.ensure_future(a.run())
        await _until_held(a)
        kept.away = True  # it dies, and cannot say goodbye
        first.cancel()
        await asyncio.wait([first])
        kept.away = False
        died = clock()
        second = asyncio.ensure_future(b.run())
        await asyncio.sleep(10.5)
        assert (False, False) == (a.held, b.held)
        await _until_held(b)

        assert 15 <= clock() - died <= 20
        second.cancel()
        await asyncio.wait([second])

    run_in_fake_time(scenario)


def test_a_holder_cut_off_from_the_api_no_longer_counts_on_it() -> None:
    async def scenario(clock: Now) -> None:
        kept = Kept()
        a = _claim(kept, "a", clock)
        running = asyncio.ensure_future(a.run())
        await _until_held(a)
        kept.away = True
        await asyncio.sleep(11)
        assert not a.held
        kept.away = False
        await _until_held(a)
        assert a.held
        running.cancel()
        await asyncio.wait([running])

    run_in_fake_time(scenario)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("towpath-6f7-x2v", "towpath-6f7-x2v-0123abcd"),
        ("Anna_s Laptop.local", "anna-s-laptop-local-0123abcd"),
        ("-" + 80 * "a", 63 * "a" + "-0123abcd"),
        ("...", "0123abcd"),
    ],
)
def test_a_replica_has_a_name_that_an_object_may_have(host: str, expected: str) -> None:
    assert expected == replica_name(host, "0123abcd4567")


def test_what_is_no_lease_is_a_refusal_and_does_not_end_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(clock: Now) -> None:
        kept = Kept(garbage=True)
        a = _claim(kept, "a", clock)
        running = asyncio.ensure_future(a.run())
        await asyncio.sleep(5)
        assert not a.held
        kept.garbage = False
        await _until_held(a)
        running.cancel()
        await asyncio.wait([running])

    run_in_fake_time(scenario)
    assert 1 == caplog.text.count("the answer cannot be read")


def test_a_time_always_has_six_digits() -> None:
    assert "2026-11-23T03:00:00.000000Z" == micro_time(datetime(2026, 11, 23, 3, tzinfo=UTC))
