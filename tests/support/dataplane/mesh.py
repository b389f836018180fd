"""A folder of manifests that a test may change, as a person would with an editor or kubectl."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
_SERVICE_LABEL = "kubernetes.io/service-name"
_DEMO = Path(__file__).parents[3] / "deploy/demo"
CURL_ALONE = _DEMO / "passthrough"
WITH_A_SERVICE = _DEMO / "mesh"
WITH_POLICIES = _DEMO / "policy"


class Manifests:
    """A copy of the folder *source* at *folder*; its files change in one step each."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = Path(shutil.copytree(source, folder))

    def set_egress(self, *, on: bool) -> float:
        """Set the mesh-wide switch; like `patch`."""
        return self.patch(
            "MeshConfig", "osm-mesh-config", {"spec": {"traffic": {"enableEgress": on}}}
        )

    def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> float:
        """Merge *change* into an object, as `kubectl patch --type=merge` does.

        Returns the moment (perf_counter) at which the file was replaced.
        """
        path, documents, document = self._find(kind, name)
        _merge(document, change)
        return self._replace(path, documents)

    def find(self, kind: str, name: str) -> Document:
        """The object as it is in the folder; KeyError if it is not."""
        return self._find(kind, name)[2]

    def all(self, kind: str) -> list[Document]:
        """All objects of one kind."""
        return [d for _, documents in self._files() for d in documents if d["kind"] == kind]

    def write(self, file: str, *documents: Document) -> float:
        """Write a file of *documents*; returns the moment at which it appeared."""
        return self._replace(self.folder / file, list(documents))

    def remove(self, file: str) -> float:
        """Remove a file; returns the moment."""
        (self.folder / file).unlink()
        return time.perf_counter()

    def apply(self, *documents: Document) -> float:
        """Write the one file `applied.yaml`; like `kubectl apply` of all of them."""
        return self.write("applied.yaml", *documents)

    def withdraw(self) -> float:
        """Remove what was applied; like `kubectl delete`. Nothing applied is no error."""
        (self.folder / "applied.yaml").unlink(missing_ok=True)
        return time.perf_counter()

    def add_endpoint(self, service: str, *, name: str, address: str) -> float:
        """Add one more slice of endpoints, as Kubernetes does when a pod gets ready.

        It has the ports of the slice that the service has already.
        """
        slice_ = self._slice_of(service)
        slice_["metadata"]["name"] = name
        slice_["endpoints"] = [{"addresses": [address], "conditions": {"ready": True}}]
        return self.write(_endpoint_file(name), slice_)

    def remove_endpoint(self, name: str) -> float:
        """Remove a slice that `add_endpoint` made."""
        return self.remove(_endpoint_file(name))

    def add_pod(self, like: str, *, name: str, address: str) -> float:
        """Add a pod with the labels and ports of the pod *like*."""
        pod = self.find("Pod", like)
        pod["metadata"]["name"] = name
        pod["status"]["podIP"] = address
        pod["status"].pop("podIPs", None)
        return self.write(f"pod-{name}.yaml", pod)

    def add_service(
        self, like: str, *, name: str, address: str, port: int, target_port: int, protocol: str
    ) -> float:
        """Add a service before the pods of the service *like*, with one port."""
        service, slice_ = self.find("Service", like), self._slice_of(like)
        service["metadata"]["name"] = slice_["metadata"]["name"] = name
        service["spec"]["clusterIP"] = address
        service["spec"].pop("clusterIPs", None)
        service["spec"]["ports"] = [
            {"name": "main", "port": port, "targetPort": target_port, "appProtocol": protocol}
        ]
        slice_["metadata"]["labels"][_SERVICE_LABEL] = name
        slice_["ports"] = [{"name": "main", "port": target_port, "protocol": "TCP"}]
        return self.write(_service_file(name), service, slice_)

    def remove_service(self, name: str) -> float:
        """Remove a service that `add_service` made."""
        return self.remove(_service_file(name))

    def _slice_of(self, service: str) -> Document:
        slices = self.all("EndpointSlice")
        return next(s for s in slices if s["metadata"]["labels"][_SERVICE_LABEL] == service)

    def _find(self, kind: str, name: str) -> tuple[Path, list[Document], Document]:
        for path, documents in self._files():
            for document in documents:
                if (document["kind"], document["metadata"]["name"]) == (kind, name):
                    return path, documents, document
        raise KeyError(f"no {kind} {name} in {self.folder}")

    def _files(self) -> Iterator[tuple[Path, list[Document]]]:
        for path in sorted(self.folder.glob("*.yaml")):
            yield path, [d for d in yaml.safe_load_all(path.read_text()) if d]

    def _replace(self, path: Path, documents: list[Document]) -> float:
        # Beside the folder, so that nobody who watches it sees a half-written file.
        draft = self.folder.with_name(f"{self.folder.name}-{path.name}.draft")
        draft.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        replaced = time.perf_counter()
        draft.replace(path)
        return replaced


def _endpoint_file(name: str) -> str:
    return f"endpoints-{name}.yaml"


def _service_file(name: str) -> str:
    return f"service-{name}.yaml"


def _merge(document: Document, change: Mapping[str, Any]) -> None:
    """RFC 7386: objects merge, None removes, anything else replaces."""
    for key, value in change.items():
        if isinstance(value, Mapping):
            _merge(document.setdefault(key, {}), value)
        elif value is None:
            document.pop(key, None)
        else:
            document[key] = value
