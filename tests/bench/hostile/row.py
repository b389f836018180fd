"""One line of the table that `make bench-hostile` prints."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What *attack* cost the server, and what limits it."""

    attack: str
    cost: str
    limit: str
