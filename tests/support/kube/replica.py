"""One `towpath serve` on a cluster, as a process with the rights that its manifests give it."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import grpc
from prometheus_client.parser import text_string_to_metric_families

from support.dataplane import wait
from support.kube.cluster import Cluster
from support.ports import free_ports
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc

READY_WITHIN_S = 60.0
SERVED = ("cds", "eds", "lds", "rds")
STOPS_WITHIN_S = 30.0


class Replica:
    """Its ADS is on `socket`, in *folder*; start it from the main thread, as a context."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        folder: Path,
        *,
        identity: str = "towpath",
        options: Sequence[str] = (),
    ) -> None:
        self.socket = folder / f"{name}.sock"
        (port,) = free_ports(1)
        self._pages = f"http://127.0.0.1:{port}"
        self._log = folder / f"{name}.log"
        self._command = [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *(sys.executable, "-m", "towpath", "serve"),
            *("--kubeconfig", str(cluster.kubeconfig(identity))),
            *("--ads-address", f"unix:{self.socket}", "--http-address", f"127.0.0.1:{port}"),
            *options,
        ]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None and self._child.poll() is None:
            assert self.stop() == 0, self.log

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Return when it is ready, and anybody may connect to its socket."""
        wait.until(
            lambda: self.page("/health/ready"),
            lambda answer: answer == (200, "ready\n"),
            what="towpath is ready",
            within_s=READY_WITHIN_S,
            context=lambda: self.log,
        )
        if self.socket.exists():  # an option may say another address
            self.socket.chmod(0o777)

    def stop(self) -> int:
        """End it politely; its exit code."""
        assert self._child is not None
        self._child.terminate()
        return self._child.wait(STOPS_WITHIN_S)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        assert self._child is not None
        self._child.kill()
        self._child.wait(STOPS_WITHIN_S)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages."""
        try:
            with urllib.request.urlopen(self._pages + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name which carry these labels."""
        status, text = self.page("/metrics")
        assert status == 200, text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def sent(self) -> dict[str, tuple[int, int]]:
        """Resources and bytes that it has sent, by type (`cds`, …)."""
        counts = {}
        for short in SERVED:
            resources = self.metric("towpath_xds_sent_resources_total", type=short)
            size = self.metric("towpath_xds_sent_bytes_total", type=short)
            counts[short] = int(resources), int(size)
        return counts

    def wait_accepted(self, node: str) -> None:
        """Return when that sidecar asks for every type, and has accepted all there is."""

        def look() -> tuple[int, bool]:
            with self.channel() as channel:
                inspector = self.inspector(channel)
                sidecars = inspector.ListSidecars(pb.ListSidecarsRequest(node_id=node)).sidecars
                policies = inspector.ListPolicies(pb.ListPoliciesRequest()).policies
            lagging = any(p.acknowledged_sidecars < p.affected_sidecars for p in policies)
            return sum(len(one.deliveries) for one in sidecars), lagging

        wait.until(
            look,
            lambda seen: seen == (len(SERVED), False),
            what=f"{node} has accepted everything",
            within_s=READY_WITHIN_S,
            context=lambda: self.log,
        )

    def inspector(self, channel: grpc.Channel) -> inspector_pb2_grpc.InspectorStub:
        return inspector_pb2_grpc.InspectorStub(channel)  # type: ignore[no-untyped-call,unused-ignore]

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"unix:{self.socket}")
