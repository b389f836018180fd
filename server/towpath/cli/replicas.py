"""Asking a control plane: every replica of it at once, what each answers, and why one does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

import click
import grpc

from towpath.cli.forwards import Forwards, forwards
from towpath.cli.place import Cluster, Place
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server, channel_to, in_words
from towpath.model.text import printable
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

Q = TypeVar("Q")
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Answers(Generic[M]):
    """What each replica answers, by its name, and why others do not; one at least has answered. A
    server that was given by its address is a replica of that name.
    """

    messages: Mapping[str, M]
    faults: Mapping[str, str]

    def warn(self) -> None:
        """Say on standard error who has not answered."""
        warn(self.faults)

    @property
    def exit_code(self) -> int:
        """That of a command whose answer is all that the replicas say: 2 if it is not whole."""
        return NoAnswer.exit_code if self.faults else 0


class Replicas:
    """The replicas of one control plane; a cluster's are looked up for each question, as they come
    and go. Several threads may ask at once.
    """

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._forwards: Forwards | None = None
        if isinstance(place, Cluster):
            self._forwards = stack.enter_context(forwards(place))
        self._channels = dict[str, grpc.Channel]()
        self._lock = Lock()

    def ask(
        self, method: Callable[[pb_grpc.InspectorStub], grpc.UnaryUnaryMultiCallable[Q, M]], ask: Q
    ) -> Answers[M]:
        """All of them, by the Inspector; NoAnswer if none answers, UsageError if they cannot read
        the question.
        """
        return self.ask_by_channel(lambda channel: method(pb_grpc.InspectorStub(channel)), ask)

    def ask_by_channel(
        self,
        method: Callable[[grpc.Channel], grpc.UnaryUnaryMultiCallable[Q, M]],
        ask: Q,
        *,
        longer_s: float = 0.0,
    ) -> Answers[M]:
        """The same of any service; *longer_s* is what the answer takes beyond the usual."""
        return self.each(lambda channel: method(channel)(ask, timeout=TIMEOUT_S + longer_s))

    def each(self, act: Callable[[grpc.Channel], M]) -> Answers[M]:
        """What *act* makes of the connection to each of them, in a thread for each; errors as with
        `ask`.
        """
        servers, faults, channels = self._connections()
        with ThreadPoolExecutor(max_workers=len(servers) or 1) as pool:
            futures = {name: pool.submit(act, channel) for name, channel in channels.items()}
        messages = dict[str, M]()
        for name, future in futures.items():
            try:
                messages[name] = future.result()
            except grpc.RpcError as error:
                faults[name] = self.fault(name, servers[name], error)
        if not messages:
            raise NoAnswer("\n".join(f"{name}: {fault}" for name, fault in faults.items()))
        return Answers(messages, faults)

    def follow(self, method: Callable[[grpc.Channel], Iterator[M]]) -> Iterator[M]:
        """What each of them that can be asked sends, as it comes, until all have ended; NoAnswer
        if there is none, or the last has ended with an error. Others that end so are named on
        standard error.
        """
        servers, faults, channels = self._connections()
        arrivals = SimpleQueue[tuple[str, M | grpc.RpcError | None]]()
        for name, channel in channels.items():
            # A daemon: whoever looks on may end while a replica has nothing to say.
            Thread(target=_arrive, args=(arrivals, name, method(channel)), daemon=True).start()
        warn(faults)
        left = set(servers)
        while left:
            name, arrival = arrivals.get()
            if isinstance(arrival, grpc.RpcError):
                faults[name] = self.fault(name, servers[name], arrival)
                if left != {name}:
                    warn({name: faults[name]})
            if arrival is None or isinstance(arrival, grpc.RpcError):
                left.discard(name)
            else:
                yield arrival
        raise NoAnswer("\n".join(f"{name}: {fault}" for name, fault in faults.items()))

    def fault(self, name: str, server: Server, error: grpc.RpcError) -> str:
        """Why that replica has not answered."""
        trouble = self._forwards.trouble(name) if self._forwards else ""
        return trouble or in_words(server, error)

    def channels(self, names: Collection[str]) -> dict[str, grpc.Channel]:
        """The connections to those of these replicas that can be asked, by their names."""
        _, _, channels = self._connections()
        return {name: channel for name, channel in channels.items() if name in names}

    def _connections(self) -> tuple[dict[str, Server], dict[str, str], dict[str, grpc.Channel]]:
        """Those that can be asked, why others cannot, and the connections to the former."""
        with self._lock:
            servers, faults = self._servers()
            return servers, faults, {name: self._channel(one) for name, one in servers.items()}

    def _servers(self) -> tuple[dict[str, Server], dict[str, str]]:
        """Those that can be asked, and why others cannot."""
        if isinstance(self._place, Server):
            return {self._place.address: self._place}, {}
        assert self._forwards is not None
        return self._forwards.look()

    def _channel(self, server: Server) -> grpc.Channel:
        if server.address not in self._channels:
            channel = self._stack.enter_context(channel_to(server))
            self._channels[server.address] = channel
        return self._channels[server.address]


def warn(faults: Mapping[str, str]) -> None:
    """Say on standard error which replicas have not answered, and why."""
    for replica, fault in faults.items():
        click.echo(printable(f"{replica}: no answer: {fault}"), err=True)


@contextlib.contextmanager
def replicas_of(place: Place) -> Iterator[Replicas]:
    """The replicas of that control plane, until the end."""
    with ExitStack() as stack:
        yield Replicas(place, stack)


def _arrive(
    arrivals: SimpleQueue[tuple[str, M | grpc.RpcError | None]], name: str, stream: Iterator[M]
) -> None:
    """Hand on what a stream brings, and how it ends."""
    end: grpc.RpcError | None = None
    try:
        for one in stream:
            arrivals.put((name, one))
    except grpc.RpcError as error:
        end = error
    arrivals.put((name, end))
