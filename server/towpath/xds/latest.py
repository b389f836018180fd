"""The latest steps that streams share: what is remembered of them, and for how long."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection
from typing import Generic, TypeVar

REMEMBERED_STEPS = 512
"""The latest ones; what they led to is kept with them …"""

REMEMBERED_BYTES = 64 << 20
"""… and what was said, of which fewer are remembered if that is more."""

S = TypeVar("S")


class Latest(Generic[S]):
    """The latest steps, as many as are allowed; of those with secrets, only while some stream is to
    hold these: a private key that was replaced must not stay in memory.
    """

    def __init__(self) -> None:
        self._steps: OrderedDict[S, tuple[Collection[bytes], frozenset[str]]] = OrderedDict()
        self._said: Counter[int] = Counter()  # in how many of them a body is, by its identity
        self._bytes = 0  # of these bodies
        self._streams: Counter[str] = Counter()  # how many are to hold the secrets of a version
        self._with: dict[str, set[S]] = {}  # by such a version

    def add(self, step: S, bodies: Collection[bytes], secrets: frozenset[str]) -> None:
        """Remember a step that said *bodies*; *secrets* are the versions of what may be in it."""
        if secrets and not secrets <= self._streams.keys():
            return
        self._steps[step] = bodies, secrets
        for version in secrets:
            self._with.setdefault(version, set()).add(step)
        self._bytes += sum(len(body) for body in bodies if self._is_first(body))
        while len(self._steps) > REMEMBERED_STEPS or self._bytes > REMEMBERED_BYTES:
            self._forget(next(iter(self._steps)))

    def enter(self, secrets: str) -> None:
        """One more stream is to hold the secrets of that version; "": there are none."""
        if secrets:
            self._streams[secrets] += 1

    def leave(self, secrets: str) -> None:
        """One stream less is; with the last one, what is remembered of these is forgotten."""
        if not secrets:
            return
        self._streams[secrets] -= 1
        if not self._streams[secrets]:
            del self._streams[secrets]
            for step in tuple(self._with.get(secrets, ())):
                self._forget(step)

    def _forget(self, step: S) -> None:
        bodies, secrets = self._steps.pop(step)
        for version in secrets:
            self._with[version].discard(step)
            if not self._with[version]:
                del self._with[version]
        self._bytes -= sum(len(body) for body in bodies if self._was_last(body))

    def _is_first(self, body: bytes) -> bool:
        self._said[id(body)] += 1
        return self._said[id(body)] == 1

    def _was_last(self, body: bytes) -> bool:
        self._said[id(body)] -= 1
        if self._said[id(body)]:
            return False
        del self._said[id(body)]
        return True
