"""The control plane under test, as a process of its own in the control namespace."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from support.dataplane import wait
from support.dataplane.netns import Namespace
from support.dataplane.network import ROUTER
from support.dataplane.process import Process
from towpath_client import TlsFiles

ADS_PORT = 15128
HTTP_PORT = 9091
READY_WITHIN_S = 60.0
SERVE = (sys.executable, "-m", "towpath", "serve")


class Towpath:
    """`towpath serve` on a folder of manifests; *offset* moves its ports, for a second one.

    With *tls*, the server's files, it speaks mutual TLS. *serve* is the command, if another.
    """

    def __init__(
        self,
        control: Namespace,
        manifests: Path,
        *,
        folder: Path,
        offset: int = 0,
        tls: TlsFiles | None = None,
        serve: Sequence[str] = SERVE,
    ) -> None:
        self.ads = (ROUTER, ADS_PORT + offset)
        self._control = control
        self._http_port = HTTP_PORT + offset
        command = (
            *(*serve, "--manifests", str(manifests)),
            *("--ads-address", f"{ROUTER}:{self.ads[1]}", *_security(tls)),
            *("--http-address", f"127.0.0.1:{self._http_port}"),
        )
        self.process = Process(control, f"towpath-{self.ads[1]}", command, folder=folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        self.process.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        wait.until(
            self._ready,
            bool,
            what="towpath is ready",
            within_s=READY_WITHIN_S,
            context=self.process.tail,
        )

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name which carry these labels."""
        samples = self._samples(name)
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def responses(self) -> dict[str, int]:
        """How many responses it has sent to all its clients, by type (`cds`, `eds`, …)."""
        samples = self._samples("towpath_xds_responses_total")
        return {sample.labels["type"]: int(sample.value) for sample in samples}

    def _samples(self, name: str) -> list[Sample]:
        status, body = self._get("/metrics")
        assert status == 200, body
        families = text_string_to_metric_families(body)
        return [s for family in families for s in family.samples if s.name == name]

    def _ready(self) -> bool:
        self.process.check_alive()
        return self._get("/health/ready")[0] == 200

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port)
        connection.sock = self._control.connect("127.0.0.1", self._http_port)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def _security(tls: TlsFiles | None) -> tuple[str, ...]:
    if tls is None:
        return ("--plaintext",)
    return (
        *("--tls-cert", str(tls.certificate)),
        *("--tls-key", str(tls.key)),
        *("--tls-client-ca", str(tls.ca)),
    )
