"""Count what a reader walks through: calls, files and switches between files, for four changes.

Run it by `make walks`. It prints figures and judges nothing. With `TREE=folder` it measures
another checkout of the project beside this one, by that checkout's own server and test support.

A *switch* is a call of a function in another file than the call before. A *repeat* is a call of a
query of `rollout` or of a session that has been answered, for the same arguments, with the same
result before in the same walk.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane

TYPES = "type.googleapis.com/envoy.config."
CLUSTER, LISTENER = f"{TYPES}cluster.v3.Cluster", f"{TYPES}listener.v3.Listener"
ENDPOINTS, ROUTES = (
    f"{TYPES}endpoint.v3.ClusterLoadAssignment",
    f"{TYPES}route.v3.RouteConfiguration",
)
NAMES = {
    ENDPOINTS: "bookstore/bookstore|80",
    ROUTES: "rds-outbound.bookstore/bookstore|80",
}
QUERIES = frozenset(
    {"withheld", "blocked", "_withholds", "refuses", "base", "lacks", "_outdated", "_difference"}
)
"""Functions that ask something of the rollout or of a session, by the names of any version."""

QUIET_S = 0.3
"""How long nothing may come before a walk counts as ended."""


@dataclass
class Walk:
    """What was called, in order."""

    root: str
    calls: list[tuple[str, CodeType]] = field(default_factory=list)
    answers: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    _open: dict[FrameType, tuple[Any, ...]] = field(default_factory=dict)

    def profile(self, frame: FrameType, event: str, value: object) -> None:
        """Note one event, as `sys.setprofile` gives it."""
        code = frame.f_code
        if not code.co_filename.startswith(self.root):
            return
        if event == "call":
            self.calls.append((code.co_filename[len(self.root) :], code))
            if code.co_name in QUERIES:
                names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
                arguments = tuple(_plain(frame.f_locals[name]) for name in names)
                self._open[frame] = (code, arguments)
        elif event == "return" and frame in self._open:
            self.answers[(*self._open.pop(frame), _plain(value))] += 1

    @property
    def files(self) -> int:
        return len({file for file, _ in self.calls})

    @property
    def functions(self) -> int:
        return len({code for _, code in self.calls})

    @property
    def switches(self) -> int:
        files = [file for file, _ in self.calls]
        return sum(one != other for one, other in pairwise(files))

    @property
    def repeats(self) -> int:
        return sum(count - 1 for count in self.answers.values())


def _plain(value: object) -> object:
    """Something to compare by: equal for equal answers, and for the same object."""
    plain = isinstance(value, str | bytes | bool | int | float | frozenset | type(None))
    return value if plain else id(value)


class Tracer:
    """Follows what happens on this thread while it is on."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.walks: dict[str, Walk] = {}

    @asynccontextmanager
    async def walk(self, name: str) -> AsyncIterator[None]:
        """Record what happens until nothing has happened for a while."""
        walk = self.walks[name] = Walk(self._root)
        sys.setprofile(walk.profile)
        try:
            yield
            count = -1
            while count != len(walk.calls):
                count = len(walk.calls)
                await asyncio.sleep(QUIET_S)
        finally:
            sys.setprofile(None)


class Sidecar:
    """A delta client of the demo mesh that answers only when it is told to."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._introduced = False
        self._left: asyncio.Task[DeltaDiscoveryResponse] | None = None

    async def asks(self, type_url: str, *names: str) -> None:
        await self._say(type_url, resource_names_subscribe=names)

    async def answers(self, response: DeltaDiscoveryResponse, *, error: str = "") -> None:
        fields = {"error_detail": Status(code=13, message=error)} if error else {}
        await self._say(response.type_url, response_nonce=response.nonce, **fields)

    async def hears(self, *, within: float = 30.0) -> DeltaDiscoveryResponse:
        return DeltaDiscoveryResponse.FromString(await self._stream.hear_bytes(within=within))

    async def settles(self) -> None:
        """Accept whatever comes until nothing does."""
        pending = self._left
        while True:
            pending = pending or asyncio.ensure_future(self.hears(within=3600))
            done, _ = await asyncio.wait([pending], timeout=2 * QUIET_S)
            if not done:
                self._left = pending
                return
            await self.answers(pending.result())
            pending = None

    async def next(self) -> DeltaDiscoveryResponse:
        """The next response, for which `settles` waited already."""
        assert self._left is not None
        response = await asyncio.wait_for(self._left, 30)
        self._left = None
        return response

    async def _say(self, type_url: str, **fields: Any) -> None:
        request = DeltaDiscoveryRequest(type_url=type_url, **fields)
        if not self._introduced:
            request.node.CopyFrom(Node(id="curl.curl"))
            self._introduced = True
        await self._stream.say_bytes(request.SerializeToString())


async def measure(tracer: Tracer, folder: Path) -> None:
    """Each walk on a server of its own, with one sidecar that has all it asked for, and has taken a
    change before.
    """
    for name, walk in WALKS.items():
        here = folder / name
        here.mkdir()
        async with (
            control_plane(here) as plane,
            plane.stream("DeltaAggregatedResources") as stream,
        ):
            sidecar = Sidecar(stream)
            for type_url in (CLUSTER, LISTENER):
                await sidecar.asks(type_url, "*")
            for type_url, resource in NAMES.items():
                await sidecar.asks(type_url, resource)
            await sidecar.settles()
            await walk(tracer, plane, sidecar)


async def _toggle(tracer: Tracer, plane: ControlPlane, sidecar: Sidecar) -> None:
    _move_endpoint(plane)
    await sidecar.settles()
    async with tracer.walk("toggle"):
        plane.switch_egress(on=True)
        await sidecar.next()


async def _endpoint(tracer: Tracer, plane: ControlPlane, sidecar: Sidecar) -> None:
    plane.switch_egress(on=True)
    await sidecar.settles()
    async with tracer.walk("endpoint"):
        _move_endpoint(plane)
        await sidecar.next()


def _move_endpoint(plane: ControlPlane) -> None:
    path = plane.folder / "bookstore.yaml"
    fresh = path.with_suffix(".new")
    fresh.write_text(path.read_text().replace("ready: true", "ready: false"))
    fresh.replace(path)


async def _ack(tracer: Tracer, plane: ControlPlane, sidecar: Sidecar) -> None:
    plane.switch_egress(on=True)
    response = await sidecar.next()
    async with tracer.walk("ack"):
        await sidecar.answers(response)


async def _nack(tracer: Tracer, plane: ControlPlane, sidecar: Sidecar) -> None:
    plane.switch_egress(on=True)
    response = await sidecar.next()
    async with tracer.walk("nack"):
        await sidecar.answers(response, error="outbound-listener: chain is ugly")


WALKS: dict[str, Callable[[Tracer, ControlPlane, Sidecar], Awaitable[None]]] = {
    "toggle": _toggle,
    "endpoint": _endpoint,
    "ack": _ack,
    "nack": _nack,
}


def main(tree: str) -> int:
    """Print one row for each walk; *tree* is the folder of a checkout."""
    root = f"{Path(tree).resolve()}/server/towpath/"
    tracer = Tracer(root)
    with tempfile.TemporaryDirectory(prefix="towpath-walks-") as temporary:
        asyncio.run(measure(tracer, Path(temporary)))
    row = "{:10} {:>6} {:>10} {:>6} {:>9} {:>8}"
    print(row.format("walk", "files", "functions", "calls", "switches", "repeats"))
    for name, walk in tracer.walks.items():
        figures = (walk.files, walk.functions, len(walk.calls), walk.switches, walk.repeats)
        print(row.format(name, *figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parents[2])))
