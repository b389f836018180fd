"""The kubelet's probes of a pod, led to its sidecar: the kubelet has no place in the mesh.

HTTP probes go to listeners that ask the application the same. What the sidecar finds out about
other ports it answers by HTTP. Commands stay as they are, and so does what asks another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from towpath.inject.obstacles import OTHER_PORTS, OWN_PORTS
from towpath.inject.refusal import Refused
from towpath.model.kubelet import HealthProbe, HttpProbe, Probes
from towpath.model.ports import HEALTH_PORT, LIVENESS_PORT, READINESS_PORT, STARTUP_PORT
from towpath.sources.decode.findings import show
from towpath.sources.decode.kubelet import called_path, called_port

KINDS = {
    "livenessProbe": ("liveness", LIVENESS_PORT),
    "readinessProbe": ("readiness", READINESS_PORT),
    "startupProbe": ("startup", STARTUP_PORT),
}
_HANDLERS = ("httpGet", "tcpSocket", "grpc")

Container = Mapping[str, Any]
Original = dict[str, dict[str, Any]]
"""By its field, such as `livenessProbe`, what a container's probe asked before."""


class ProbeRewrite:
    """Leads probes of containers to the sidecar, and says what the sidecar must do for that.

    `originals` has by container what was changed; `skipped` says what was not, and why.
    """

    def __init__(self) -> None:
        self.originals: dict[str, Original] = {}
        self.skipped: list[str] = []
        self._http: set[HttpProbe] = set()
        self._health: dict[str, HealthProbe] = {}

    @property
    def probes(self) -> Probes:
        """What the sidecar must answer."""
        return Probes(tuple(sorted(self._http)), tuple(sorted(self._health.values())))

    def container(self, container: Container) -> dict[str, Any]:
        """The container with its probes led to the sidecar. Raises Refused."""
        changed = dict(container)
        for field in KINDS:
            probe = container.get(field)
            if probe is None:
                continue
            question = self._question(container, field, probe)
            if question is None:
                continue
            kept = {name: value for name, value in probe.items() if name not in _HANDLERS}
            changed[field] = {"httpGet": question, **kept}
            original = {name: probe[name] for name in _HANDLERS if name in probe}
            self.originals.setdefault(container["name"], {})[field] = original
        return changed

    def _question(
        self, container: Container, field: str, probe: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The httpGet that takes the place of what is asked; None if it stays."""
        for handler in _HANDLERS:
            question = probe.get(handler)
            if question is None:
                continue
            if question.get("host"):
                where = f"{field}.{handler} of container {container['name']}"
                self.skipped.append(f"{where} asks another host, {show(question['host'])}")
                return None
            port, timeout_s = _port(container, f"{field}.{handler}", question), _timeout(probe)
            if handler == "httpGet":
                return self._http_question(container["name"], field, question, port, timeout_s)
            service = None if handler == "tcpSocket" else str(question.get("service") or "")
            return self._health_question(port, service, timeout_s)
        return None

    def _http_question(
        self, container: str, field: str, question: Mapping[str, Any], port: int, timeout_s: int
    ) -> dict[str, Any]:
        word, own_port = KINDS[field]
        path = f"/osm-{word}-probe/{container}"
        tls = str(question.get("scheme") or "").upper() == "HTTPS"
        target_path = "".join(called_path(question.get("path")))
        self._http.add(HttpProbe(own_port, path, port, target_path, tls, timeout_s))
        headers = {"httpHeaders": question["httpHeaders"]} if question.get("httpHeaders") else {}
        return {"path": path, "port": own_port, **headers}

    def _health_question(self, port: int, service: str | None, timeout_s: int) -> dict[str, Any]:
        """One answer for all that ask the same: who is the most patient says how long it takes."""
        path = f"/osm-healthcheck/{'tcp' if service is None else 'grpc'}/{port}"
        if service:
            path = f"{path}/{quote(service, safe='')}"
        before = self._health.get(path)
        longest = timeout_s if before is None else max(timeout_s, before.timeout_s)
        self._health[path] = HealthProbe(path, port, service, longest)
        return {"path": path, "port": HEALTH_PORT}


def restored(container: Container, original: Mapping[str, Any]) -> dict[str, Any]:
    """The container with the probes that it had before `ProbeRewrite.container`."""
    changed = dict(container)
    for field, handler in original.items():
        probe = container.get(field)
        if field in KINDS and probe is not None and isinstance(handler, dict):
            kept = {name: value for name, value in probe.items() if name not in _HANDLERS}
            changed[field] = {**handler, **kept}
    return changed


def _port(container: Container, where: str, question: Mapping[str, Any]) -> int:
    """The number of a port. Raises Refused for the name of none, and what is no port."""
    port = question.get("port")
    ports = {one.get("name"): one.get("containerPort") for one in container.get("ports") or ()}
    number = called_port(port, ports)
    if number in OWN_PORTS:
        place = f"{where}.port of container {container['name']}"
        raise Refused(f"{place} is {show(port)}, port {number}: allowed: {OTHER_PORTS}")
    if number is not None:
        return number
    names = ", ".join(sorted(str(name) for name in ports if name)) or "it names none"
    raise Refused(
        f"{where}.port of container {container['name']} is {show(port)}: allowed: a port from 1 to "
        f"65535, or the name of one of the container's ports ({names})"
    )


def _timeout(probe: Mapping[str, Any]) -> int:
    timeout = probe.get("timeoutSeconds")
    return timeout if isinstance(timeout, int) and timeout > 0 else 1
