"""Tuples that are hashed once, as the keys to what many sidecars share."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class HashedOnce(tuple[T, ...]):  # noqa: SLOT001 - slots cannot be in a tuple
    """A tuple that is hashed once, as the key to what many sidecars share."""

    _hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash
