"""Port-forwards to the replicas in a cluster, each behind a unix socket that is this user's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from towpath.cli.place import Cluster
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server

if TYPE_CHECKING:
    from towpath.install.replicas import ReplicaPod
    from towpath.kubeapi.client import KubeApi
    from towpath.kubeapi.port_forward import PortForward

T = TypeVar("T")

LOOK_EVERY_S = 0.005
"""Between two looks whether connections are gone: nothing tells of that."""


class Forwards:
    """The replicas of one control plane, as the cluster has them when it is looked."""

    def __init__(
        self, cluster: Cluster, api: KubeApi, loop: _Loop, stack: AsyncExitStack, folder: Path
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._loop = loop
        self._stack = stack
        self._folder = folder
        self._forwards: dict[str, tuple[PortForward, Server]] = {}

    def look(self) -> tuple[dict[str, Server], dict[str, str]]:
        """The replicas that can be asked, by their pods' names, and why others cannot; NoAnswer if
        there are none, or they may not be looked up.
        """
        return self._loop.run(self._look())

    def trouble(self, name: str) -> str:
        """Why the port-forward to that replica has failed; "" if it has not."""
        return self._forwards[name][0].trouble if name in self._forwards else ""

    async def _look(self) -> tuple[dict[str, Server], dict[str, str]]:
        from towpath.install.replicas import replica_pods

        pods = await replica_pods(self._api, self._cluster.namespace)
        if not pods:
            context = f" of context {self._cluster.context}" if self._cluster.context else ""
            raise NoAnswer(
                f"no control plane in namespace {self._cluster.namespace}{context} of "
                f"{self._api.url}: name its namespace with -n, another cluster with --context, or "
                "a server's address with --server"
            )
        faults = {pod.name: text for pod in pods if (text := self._fault(pod))}
        able = [pod for pod in pods if pod.name not in faults]
        return {pod.name: await self._forward(pod) for pod in able}, faults

    def _fault(self, pod: ReplicaPod) -> str:
        if not pod.port:
            return (
                "the pod has no port `local` to forward: `towpath upgrade`, or, for now, "
                f"`kubectl exec -n {self._cluster.namespace} {pod.name} -- towpath …`"
            )
        return "" if pod.ready else "the pod is not ready yet"

    async def _forward(self, pod: ReplicaPod) -> Server:
        from towpath.kubeapi.port_forward import PortForward

        if pod.name not in self._forwards:
            forward = PortForward(self._api, self._cluster.namespace, pod.name, pod.port)
            socket = self._folder / f"{len(self._forwards)}.sock"
            await self._stack.enter_async_context(forward.listening(socket))
            self._forwards[pod.name] = forward, Server(f"unix:{socket}", None)
        return self._forwards[pod.name][1]


@contextlib.contextmanager
def forwards(cluster: Cluster) -> Iterator[Forwards]:
    """Port-forwards to that control plane, until the end; NoAnswer if it cannot be looked for."""
    with _connected(cluster) as (api, loop, stack, folder):
        yield Forwards(cluster, api, loop, stack, folder)


@contextlib.contextmanager
def forwarded(
    cluster: Cluster, namespace: str, pod: str, port: int
) -> Iterator[tuple[Path, Callable[[], str]]]:
    """A unix socket that leads to a port of a pod, until the end, and why it does not, "" if it
    does; NoAnswer if the cluster cannot be reached.
    """
    with _connected(cluster) as (api, loop, stack, folder):
        from towpath.kubeapi.port_forward import PortForward

        forward = PortForward(api, namespace, pod, port)
        socket = folder / "pod.sock"
        loop.run(stack.enter_async_context(forward.listening(socket)))
        yield socket, lambda: forward.trouble


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[tuple[KubeApi, _Loop, AsyncExitStack, Path]]:
    """The API of the cluster, the loop that it lives in, what ends with it, and a folder of this
    user's own.
    """
    # A second of imports that only this needs.
    from towpath.kubeapi.client import KubeApiError
    from towpath.kubeapi.configuration import connect

    with tempfile.TemporaryDirectory(prefix="towpath-") as folder, _Loop() as loop:
        stack = AsyncExitStack()
        try:
            api = loop.run(connect(cluster.kubeconfig, cluster.context))
            stack.push_async_callback(api.close)
            yield api, loop, stack, Path(folder)
        except KubeApiError as error:
            raise NoAnswer(str(error)) from error
        except TimeoutError as error:
            raise NoAnswer(f"the API server does not answer within {TIMEOUT_S:g} s") from error
        finally:
            loop.run(stack.aclose())


class _Loop:
    """An event loop in a thread of its own: it carries bytes while commands wait for answers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._own = self._descriptors()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> _Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            self.run(self._end_connections())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_connections(self) -> None:
        """End what is still open when nobody needs it any more: TLS whose other end has not said
        its last word, or a connection that was given up while it was made.
        """
        while left := self._descriptors() - self._own:
            for descriptor in left:
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as same:
                    same.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(LOOK_EVERY_S)

    def _descriptors(self) -> frozenset[int]:
        """What the loop looks after."""
        return frozenset(key.fd for key in self._selector.get_map().values())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What it returns or raises; TimeoutError if it takes longer than an answer may."""
        return asyncio.run_coroutine_threadsafe(_within(coroutine), self._loop).result()


async def _within(coroutine: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(TIMEOUT_S):
        return await coroutine
