"""CPU seconds that `towpath problems` and `diff` take on folders of meshes of several sizes.

    python tests/bench/changes.py [SIDECARS,POLICIES …]

Each row is a process of its own: a folder of SIDECARS pods in as many accounts as there are
Services, POLICIES policies (half of them Egresses, half TrafficTargets), and permissive mode off.
`one` is a diff after one policy has changed, `all` after every one has.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SIZES = ((1250, 250), (2500, 500), (5000, 1000), (10000, 2000))
PODS_OF_ONE = 5
"""Pods of each Service and service account."""

MESH = "osm"
_POLICY = "policy.openservicemesh.io/v1alpha1"
_ACCESS = "access.smi-spec.io/v1alpha3"
_SPECS = "specs.smi-spec.io/v1alpha4"


def write_mesh(folder: Path, sidecars: int, policies: int, *, changed: int = 0) -> None:
    """Write the mesh; of its policies the first *changed* allow something else."""
    folder.mkdir()
    accounts = sidecars // PODS_OF_ONE
    namespaces = [f"team-{number}" for number in range(max(accounts // 10, 1))]
    objects: list[dict[str, Any]] = [_mesh_config()]
    objects += [_object("v1", "Namespace", one, labels=_MONITORED) for one in namespaces]
    for number in range(accounts):
        namespace = namespaces[number % len(namespaces)]
        objects += _service(f"app-{number}", namespace, number)
    for number in range(policies):
        source, to = number % accounts, (number * 7 + 1) % accounts
        path = "/other" if number < changed else "/get"
        objects += (_target if number % 2 else _egress)(number, source, to, path, namespaces)
    text = ",\n".join(map(json.dumps, objects))
    (folder / "mesh.json").write_text(f'{{"apiVersion": "v1", "kind": "List", "items": [{text}]}}')


_MONITORED = {"openservicemesh.io/monitored-by": MESH}


def _object(
    version: str, kind: str, name: str, namespace: str = "", *, labels: Any = None, **rest: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _mesh_config() -> dict[str, Any]:
    spec = {
        "traffic": {"enableEgress": False, "enablePermissiveTrafficPolicyMode": False},
        "featureFlags": {"enableEgressPolicy": True},
    }
    version = "config.openservicemesh.io/v1alpha2"
    return _object(version, "MeshConfig", "osm-mesh-config", "osm-system", spec=spec)


def _service(name: str, namespace: str, number: int) -> list[dict[str, Any]]:
    addresses = [_address(10, number * PODS_OF_ONE + pod) for pod in range(PODS_OF_ONE)]
    port = {"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"}
    spec = {"clusterIP": _address(11, number), "selector": {"app": name}, "ports": [port]}
    pods = [
        _object(
            *("v1", "Pod", f"{name}-{pod}", namespace),
            labels={"app": name},
            spec={
                "serviceAccountName": name,
                "containers": [{"name": "app", "ports": [{"containerPort": 8080}]}],
            },
            status={"podIP": address, "phase": "Running"},
        )
        for pod, address in enumerate(addresses)
    ]
    slice_ = _object(
        *("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", namespace),
        labels={"kubernetes.io/service-name": name},
        addressType="IPv4",
        endpoints=[{"addresses": [one]} for one in addresses],
        ports=[{"name": "http", "port": 8080}],
    )
    return [
        _object("v1", "ServiceAccount", name, namespace),
        _object("v1", "Service", name, namespace, spec=spec),
        slice_,
        *pods,
    ]


def _address(first: int, number: int) -> str:
    return f"{first}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _account(number: int, namespaces: list[str]) -> dict[str, str]:
    namespace = namespaces[number % len(namespaces)]
    return {"kind": "ServiceAccount", "name": f"app-{number}", "namespace": namespace}


def _group(name: str, namespace: str, path: str) -> dict[str, Any]:
    spec = {"matches": [{"name": "m", "pathRegex": path, "methods": ["GET"]}]}
    return _object(_SPECS, "HTTPRouteGroup", name, namespace, spec=spec)


def _egress(
    number: int, source: int, _: int, path: str, namespaces: list[str]
) -> list[dict[str, Any]]:
    account, name = _account(source, namespaces), f"out-{number}"
    spec = {
        "sources": [account],
        "hosts": [f"api-{number}.example.org", f"cdn-{number % 10}.example.net"],
        "ports": [{"number": 80, "protocol": "http"}],
        "matches": [{"apiGroup": _SPECS, "kind": "HTTPRouteGroup", "name": name}],
    }
    namespace = account["namespace"]
    return [
        _object(_POLICY, "Egress", name, namespace, spec=spec),
        _group(name, namespace, path),
    ]


def _target(
    number: int, source: int, to: int, path: str, namespaces: list[str]
) -> list[dict[str, Any]]:
    destination, name = _account(to, namespaces), f"in-{number}"
    spec = {
        "destination": destination,
        "sources": [_account(source, namespaces)],
        "rules": [{"kind": "HTTPRouteGroup", "name": name, "matches": ["m"]}],
    }
    namespace = destination["namespace"]
    return [
        _object(_ACCESS, "TrafficTarget", name, namespace, spec=spec),
        _group(name, namespace, path),
    ]


def _seconds(*arguments: str) -> tuple[float, str]:
    """How much CPU time the command takes, and the last line of what it prints."""
    begin = _cpu()
    command = [sys.executable, "-m", "towpath", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = _cpu() - begin
    if done.returncode > 1 or "Traceback" in done.stderr:
        raise SystemExit(done.stderr)
    return seconds, (done.stdout or done.stderr).splitlines()[-1]


def _cpu() -> float:
    """Seconds of the CPU that all commands so far have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print a table."""
    sizes = [tuple(map(int, one.split(","))) for one in sys.argv[1:]] or SIZES
    print("sidecars  policies  problems     one     all   (CPU seconds)")
    for sidecars, policies in sizes:
        with tempfile.TemporaryDirectory(prefix="towpath-changes-") as name:
            old, one, other = (Path(name, part) for part in ("old", "one", "all"))
            write_mesh(old, sidecars, policies)
            write_mesh(one, sidecars, policies, changed=1)
            write_mesh(other, sidecars, policies, changed=policies)
            problems, _ = _seconds("problems", "--manifests", str(old))
            single, _ = _seconds("diff", str(old), str(one))
            every, line = _seconds("diff", str(old), str(other))
        row = f"{sidecars:8}  {policies:8}  {problems:8.1f}  {single:6.1f}  {every:6.1f}   {line}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
