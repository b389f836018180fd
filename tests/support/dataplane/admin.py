"""Envoy's admin interface, read inside the pod's namespace."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from support.dataplane.netns import Namespace
from towpath.model.ports import ADMIN_PORT

ANSWER_WITHIN_S = 30.0


class Admin:
    """Readers of one sidecar's admin interface; each raises OSError while it does not listen."""

    def __init__(self, pod: Namespace) -> None:
        self._pod = pod

    def ready(self) -> bool:
        """True when Envoy holds its first configuration."""
        return self._get("/ready")[0] == 200

    def stats(self, pattern: str) -> dict[str, int]:
        """The counters and gauges whose names match the regular expression *pattern*."""
        stats = self._json("/stats", filter=pattern, format="json")["stats"]
        return {s["name"]: s["value"] for s in stats if isinstance(s.get("value"), int)}

    def stat(self, name: str) -> int:
        """One counter or gauge; 0 if Envoy does not have it (yet)."""
        return self.stats(f"^{re.escape(name)}$").get(name, 0)

    def series(self) -> frozenset[str]:
        """The names on the page for Prometheus."""
        body = self._get("/stats/prometheus")[1]
        return frozenset(re.findall(r"^(\w+)", body, re.MULTILINE))

    def text_stat(self, name: str) -> str:
        """One text statistic, `listener_manager.lds.version_text` say; empty if there is none."""
        body = self._get("/stats", type="TextReadouts", filter=f"^{re.escape(name)}$")[1]
        _, _, value = body.strip().partition(": ")
        return value.strip('"')

    def listeners(self) -> Mapping[str, Mapping[str, Any]]:
        """Each listener that takes connections, not one that warms or drains, by name."""
        entries = self._dump("dynamic_listeners")
        return {n: e["active_state"] for n, e in entries.items() if "active_state" in e}

    def clusters(self) -> Mapping[str, Mapping[str, Any]]:
        """Each active dynamic cluster's entry by name."""
        return self._dump("dynamic_active_clusters", "cluster")

    def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """Each dynamic route configuration's entry by name."""
        return self._dump("dynamic_route_configs", "route_config")

    def endpoints(self) -> Mapping[str, Mapping[str, Any]]:
        """Each dynamic endpoint assignment's entry by cluster name."""
        return self._dump("dynamic_endpoint_configs", "endpoint_config", "cluster_name")

    def hosts(self, cluster: str) -> list[str]:
        """The addresses `host:port` that Envoy balances over in *cluster*, sorted."""
        statuses = self._json("/clusters", format="json").get("cluster_statuses", [])
        addresses = [
            host["address"]["socket_address"]
            for status in statuses
            if status["name"] == cluster
            for host in status.get("host_statuses", [])
        ]
        return sorted(f"{a['address']}:{a['port_value']}" for a in addresses)

    def serials(self, prefix: str) -> frozenset[str]:
        """The serial numbers of the certificates with a URI of that *prefix* that it has, in use
        or not released yet.
        """
        return frozenset(
            str(shown["serial_number"])
            for certificate in self._json("/certs").get("certificates", [])
            for shown in certificate.get("cert_chain", ())
            if any(
                name.get("uri", "").startswith(prefix)
                for name in shown.get("subject_alt_names", ())
            )
        )

    def trusted(self) -> list[frozenset[str]]:
        """Of each secret that says whom it trusts, and that is in use, the certificates (PEM)."""
        secrets = self._dump("dynamic_active_secrets").values()
        contexts = (one["secret"].get("validation_context") for one in secrets)
        texts = (one["trusted_ca"]["inline_string"] for one in contexts if one)
        end = "-----END CERTIFICATE-----"
        return [
            frozenset(part.strip() + "\n" + end for part in text.split("\n" + end)[:-1])
            for text in texts
        ]

    def _dump(
        self, resource: str, inner: str | None = None, key: str = "name"
    ) -> Mapping[str, Mapping[str, Any]]:
        parameters = {"resource": resource, "include_eds": ""}
        entries = self._json("/config_dump", **parameters).get("configs", [])
        return {(entry[inner] if inner else entry)[key]: entry for entry in entries}

    def _json(self, path: str, **query: str) -> Any:
        return json.loads(self._get(path, **query)[1])

    def _get(self, path: str, **query: str) -> tuple[int, str]:
        connection = _Connection(self._pod)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}" if query else path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to the admin port of a namespace."""

    def __init__(self, pod: Namespace) -> None:
        super().__init__("127.0.0.1", ADMIN_PORT, timeout=ANSWER_WITHIN_S)
        self._pod = pod

    def connect(self) -> None:
        self.sock = self._pod.connect("127.0.0.1", ADMIN_PORT, within_s=ANSWER_WITHIN_S)
