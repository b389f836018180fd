"""Who carries a page's steps out: on a folder of manifests, or on a cluster with kubectl."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from demo.steps import Seen, Step
from support.dataplane.clients import Curl
from support.dataplane.mesh import Document

Act = tuple[str, Callable[[], Seen]]
"""One command as it is typed, and what carries it out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command of ours has printed, and with which exit code it has ended."""

    typed: str
    exit_code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """What it has printed, without empty lines."""
        return [line for line in self.text.splitlines() if line.strip()]


class Hands(Protocol):
    """What the pages' commands come to."""

    def patch(self, change: Document) -> Seen:
        """Merge a change into the MeshConfig."""

    def client(self) -> Iterator[Step]:
        """Start the client's pod, with its sidecar."""

    def apply(self, *documents: Document) -> Seen: ...
    def delete(self, document: Document) -> Seen: ...
    def call(self, url: str, *, exits: int = 0, status: int = 0) -> Seen:
        """Call from the pod until it ends as it should."""

    def answered(self, url: str) -> bool:
        """Call once from the pod: is it answered?"""

    def ask(self, *words: str) -> Answer:
        """Ask the running control plane by a command of ours."""

    def diff(self, *documents: Document) -> Answer:
        """What applying them would open and close."""


def called(url: str, seen: Curl) -> Seen:
    """How a call went, in curl's own words."""
    line = seen.body.partition("\n")[0].strip() or f"exit code {seen.exit_code}: {seen.error}"
    return Seen(
        passed=True, done=f"$ curl -sI {url}", outcome=line, milliseconds=seen.seconds * 1000
    )
