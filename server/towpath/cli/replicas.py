"""Asking a control plane: every replica of it at once, what each answers, and why one does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
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
        for replica, fault in self.faults.items():
            click.echo(printable(f"{replica}: no answer: {fault}"), err=True)

    @property
    def exit_code(self) -> int:
        """That of a command whose answer is all that the replicas say: 2 if it is not whole."""
        return NoAnswer.exit_code if self.faults else 0


class Replicas:
    """The replicas of one control plane; a cluster's are looked up for each question, as they come
    and go.
    """

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._forwards: Forwards | None = None
        if isinstance(place, Cluster):
            self._forwards = stack.enter_context(forwards(place))
        self._channels = dict[str, grpc.Channel]()

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
        servers, faults = self._servers()
        futures = {
            name: method(self._channel(server)).future(ask, timeout=TIMEOUT_S + longer_s)
            for name, server in servers.items()
        }
        messages = dict[str, M]()
        for name, future in futures.items():
            try:
                messages[name] = future.result()
            except grpc.RpcError as error:
                trouble = self._forwards.trouble(name) if self._forwards else ""
                faults[name] = trouble or in_words(servers[name], error)
        if not messages:
            raise NoAnswer("\n".join(f"{name}: {fault}" for name, fault in faults.items()))
        return Answers(messages, faults)

    def channels(self, names: Collection[str]) -> dict[str, grpc.Channel]:
        """The connections to those of these replicas that can be asked, by their names."""
        servers, _ = self._servers()
        return {name: self._channel(one) for name, one in servers.items() if name in names}

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


@contextlib.contextmanager
def replicas_of(place: Place) -> Iterator[Replicas]:
    """The replicas of that control plane, until the end."""
    with ExitStack() as stack:
        yield Replicas(place, stack)
