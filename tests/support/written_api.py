"""An API that keeps what is written to it in memory, and refuses what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.kubeapi.client import KubeApiError
from towpath.kubeapi.paths import COLLECTIONS, LEASES
from towpath.model.names import Kind


@dataclass
class WrittenApi:
    """Plays KubeApi. `refusals` maps a part of a path to what any write there is answered."""

    refusals: dict[str, KubeApiError] = field(default_factory=dict)
    policies: list[dict[str, Any]] = field(default_factory=list)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)

    async def get(self, path: str, query: Mapping[str, str], **_: object) -> bytes:
        self.reads.append(path)
        self._answer(f"GET {path}")
        if path == COLLECTIONS[Kind.EGRESS].path():
            begin, size = int(query.get("continue", "0")), int(query["limit"])
            rest = str(begin + size) if begin + size < len(self.policies) else ""
            items = self.policies[begin : begin + size]
            return json.dumps({"metadata": {"continue": rest}, "items": items}).encode()
        if path == LEASES.path("osm-system"):
            return json.dumps({"metadata": {}, "items": list(self.leases.values())}).encode()
        return b'{"metadata": {}, "items": null}'

    async def apply(self, path: str, body: Mapping[str, Any], **_: object) -> bytes:
        return await self.write("PATCH", path, body)

    async def write(self, method: str, path: str, body: Mapping[str, Any], **_: object) -> bytes:
        self.tries.append(path)
        self._answer(f"{method} {path}")
        self.writes.append((method, path, dict(body)))
        name = path.rpartition("/")[2]
        if method == "DELETE":
            self.leases.pop(name, None)
        elif body.get("kind") == "Lease":
            self.leases[name] = dict(body)
        return b"{}"

    def written(self, part: str = "/status") -> list[dict[str, Any]]:
        """The bodies of all writes whose path has that part."""
        return [body for _, path, body in self.writes if part in path]

    def _answer(self, request: str) -> None:
        for part, refusal in self.refusals.items():
            if part in request:
                raise refusal
