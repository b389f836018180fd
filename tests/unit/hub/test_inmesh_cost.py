"""What in-mesh policies cost the hub: what they come to is encoded where nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.objects import (
    mesh_config,
    namespace,
    pod,
    port,
    route_group,
    service,
    traffic_split,
    traffic_target,
)
from support.running_hub import RunningHub
from towpath.encode.envoy import inbound_routes, outbound_routes
from towpath.model.names import Account

MANY = 600
SOURCES = [Account("shop", f"c{n}") for n in range(MANY)]
CALLERS = [
    pod(f"c{n}", account=f"c{n}", app="c", addresses=(f"10.1.{n >> 8}.{n & 255}",))
    for n in range(MANY)
]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """In which threads routes were encoded, by what encodes them."""
    threads: dict[str, set[int]] = {}

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **keywords: Any) -> Any:
            layer = function(*args, **keywords)
            if sum(len(one.packed) for one in layer.values()) > 20_000:
                threads.setdefault(function.__name__, set()).add(threading.get_ident())
            return layer

        return noted

    for function in (inbound_routes, outbound_routes):
        monkeypatch.setattr(f"towpath.encode.envoy.{function.__name__}", noting(function))
    return threads


async def test_many_callers_and_many_shares_are_encoded_where_nobody_waits(
    running: RunningHub, threads: dict[str, set[int]]
) -> None:
    await running.holds(
        namespace(),
        mesh_config(permissive=False),
        service("web", port()),
        pod("web", account="web"),
        *CALLERS,
        route_group("get", *(f"/{n}" for n in range(MANY))),
        traffic_target(sources=[*SOURCES, Account("shop", "web")]),
        traffic_split("half", ("web", 1), route_groups=["get"]),
    )
    await running.attach("web").next()

    assert {"inbound_routes", "outbound_routes"} == set(threads)
    assert threading.get_ident() not in {thread for some in threads.values() for thread in some}
