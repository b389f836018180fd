"""A mesh of Pipy sidecars without permissive mode: a service of HTTP and of bytes, who may call it,
and a pod of another account, without a sidecar that would stand in its way.
"""

from __future__ import annotations

from typing import Any

from support.dataplane.hosts import APP_PORT, ECHO_PORT
from support.dataplane.mesh import Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.targets import SERVICE

Document = dict[str, Any]

SERVER, THIEF = "bookstore-0", "bookstore-1"
POD = POD_ADDRESSES[SERVER]
BYTES = 90
URL, RAW = f"http://{SERVICE}/", (SERVICE, BYTES)
DIRECT, DIRECT_RAW = f"http://{POD}:{APP_PORT}/", (POD, ECHO_PORT)


def close(manifests: Manifests) -> None:
    """Switch permissive mode off, add the other account's pod, and a port that does not speak
    HTTP.
    """
    traffic = {"enablePermissiveTrafficPolicyMode": False}
    manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})
    thief = manifests.find("Pod", SERVER)
    thief["metadata"] = {"name": THIEF, "namespace": "curl", "labels": {"app": "thief"}}
    thief["spec"]["serviceAccountName"] = "thief"
    thief["status"] = {"phase": "Running", "podIP": POD_ADDRESSES[THIEF]}
    manifests.write("thief.yaml", thief)
    ports = [
        {"name": "http", "port": 80, "targetPort": APP_PORT, "appProtocol": "http"},
        {"name": "raw", "port": BYTES, "targetPort": ECHO_PORT, "appProtocol": "tcp"},
    ]
    manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
    [slice_] = manifests.all("EndpointSlice")
    of_slice = [
        {"name": "http", "port": APP_PORT, "protocol": "TCP"},
        {"name": "raw", "port": ECHO_PORT, "protocol": "TCP"},
    ]
    manifests.patch("EndpointSlice", slice_["metadata"]["name"], {"ports": of_slice})


def probe(manifests: Manifests, path: str) -> None:
    """Have the kubelet probe the server's port of HTTP there."""
    [container] = manifests.find("Pod", SERVER)["spec"]["containers"]
    ready = {"readinessProbe": {"httpGet": {"path": path, "port": APP_PORT}}}
    manifests.patch("Pod", SERVER, {"spec": {"containers": [{**container, **ready}]}})


def tcp_route(name: str, *ports: int) -> Document:
    return {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "TCPRoute",
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"matches": {"ports": list(ports)}},
    }


def echo(pod: Namespace, address: tuple[str, int]) -> bytes:
    """What comes back of two bytes: these, or nothing from who cuts the connection, or is not
    there.
    """
    try:
        with pod.connect(*address, within_s=10) as connection:
            connection.sendall(b"hi")
            return connection.recv(100)
    except ConnectionError:
        return b""
