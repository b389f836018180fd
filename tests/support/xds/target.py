"""What the suite needs of a server under test: an address, and a way to say what a node is to hold.

The contract is that of the public harness's adapter, so a server that has one can be tested with
this suite too; `towpath_target` is the server in this repository, and `remote` any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message


class Adapter(Protocol):
    """State in: each call returns once the server would answer from the new state.

    *version* is the label that a server without versions of its own is to publish under.
    """

    async def set_state(self, node: str, version: str, resources: Sequence[Message]) -> None:
        """Hold exactly these resources for the node; one that has only a name is completed."""

    async def clear_state(self, node: str) -> None:
        """Forget the node."""

    async def update_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        """Change the content of one resource, and publish."""

    async def add_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        """Add one resource, made from its name, and publish."""

    async def remove_resource(self, node: str, type_url: str, name: str, version: str) -> None:
        """Remove one resource, and publish; the label stays what it was."""


@dataclass(frozen=True)
class Target:
    """One server under test."""

    address: str
    adapter: Adapter
