"""A stand-in for the kubelet: it runs a pod that an API server has stored, exactly as it says.

Volumes are folders with what Kubernetes would put there, a token bound to the pod among it; each
container is a process in the pod's network namespace and a mount namespace of its own, with the
user, the capabilities and the read-only files that its security context gives it. Images are not
pulled: *programs* has what runs in the place of each, by its first argument.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from support.dataplane import wait
from support.dataplane.netns import Namespace
from support.dataplane.process import Process
from support.kube.cluster import Cluster

STARTS_WITHIN_S = 120.0
_REFERENCE = re.compile(r"\$\((\w+)\)")


class Kubelet:
    """Runs pods in *pod*'s network, and probes them from *node* at *address*."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        node: Namespace,
        pod: Namespace,
        address: str,
        folder: Path,
        programs: Mapping[str, str],
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._network = pod
        self._address = address
        self._folder = folder
        self._programs = programs
        self._running: list[Process] = []

    def run(self, namespace: str, name: str) -> dict[str, Any]:
        """The pod's init containers in order, each to its end, or until a sidecar has started; the
        pod as it is stored then.
        """
        where = ("pod", name, "-n", namespace)
        stored: dict[str, Any] = self._cluster.kubectl("get", *where, "-o", "json").json()
        self._status(where, {"phase": "Pending", "podIP": self._address})
        volumes = {
            volume["name"]: self._volume(stored, volume) for volume in stored["spec"]["volumes"]
        }
        for container in stored["spec"]["initContainers"]:
            process = self._process(stored, container, volumes)
            process.start()
            self._running.append(process)
            if container.get("restartPolicy") == "Always":
                self._wait_started(process, container)
            else:
                wait.until(
                    lambda process=process: process.exit_code,  # type: ignore[misc]
                    lambda code: code is not None,
                    what=f"init container {container['name']} ends",
                    within_s=STARTS_WITHIN_S,
                    context=process.tail,
                )
                assert process.exit_code == 0, process.tail()
        self._status(where, {"phase": "Running", "podIP": self._address})
        return stored

    def renew(self, pod: Mapping[str, Any]) -> None:
        """Put a new token into the volumes of a pod that runs."""
        for volume in pod["spec"]["volumes"]:
            self._volume(pod, volume)

    def stop(self) -> None:
        """End all that runs."""
        for process in reversed(self._running):
            process.stop()

    @property
    def sidecar(self) -> Process:
        return self._running[-1]

    def probe(self, container: Mapping[str, Any], field: str) -> int:
        """The status of the kubelet's HTTP probe; 0 if nobody answers in time."""
        probe = container[field]
        question = probe["httpGet"]
        url = f"http://{self._address}:{question['port']}{question['path']}"
        options = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "1")
        return int(self._node.run("curl", *options, url).stdout)

    def _wait_started(self, process: Process, container: Mapping[str, Any]) -> None:
        port = container["startupProbe"]["tcpSocket"]["port"]

        def is_open() -> bool:
            process.check_alive()
            try:
                self._node.connect(self._address, port, within_s=1.0).close()
            except OSError:
                return False
            return True

        what = f"the startup probe of {container['name']} succeeds"
        wait.until(is_open, bool, what=what, within_s=STARTS_WITHIN_S, context=process.tail)

    def _status(self, where: tuple[str, ...], status: Mapping[str, Any]) -> None:
        patch = ("--subresource=status", "--type=merge", "-p", yaml.safe_dump({"status": status}))
        done = self._cluster.kubectl("patch", *where, *patch)
        assert done.exit_code == 0, done.error

    def _volume(self, pod: Mapping[str, Any], volume: Mapping[str, Any]) -> Path:
        """Files behind two links, so that all of them change at once."""
        folder = self._folder / "volumes" / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        data = Path(tempfile.mkdtemp(prefix="..", dir=folder))
        for one in (folder.parent, folder, data):
            one.chmod(0o755)
        for name, text in self._files(pod, volume).items():
            (data / name).write_text(text)
            (data / name).chmod(0o644)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        fresh = folder / "..data_tmp"
        fresh.symlink_to(data.name)
        fresh.replace(folder / "..data")
        return folder

    def _files(self, pod: Mapping[str, Any], volume: Mapping[str, Any]) -> dict[str, str]:
        files: dict[str, str] = {}
        for source in volume["projected"]["sources"]:
            if token := source.get("serviceAccountToken"):
                files[token["path"]] = self._token(pod, token)
            for item in source.get("downwardAPI", {}).get("items", ()):
                path = item["fieldRef"]["fieldPath"]
                annotation = re.fullmatch(r"metadata\.annotations\['(.+)'\]", path)
                assert annotation, path
                files[item["path"]] = pod["metadata"]["annotations"][annotation[1]]
        return files

    def _token(self, pod: Mapping[str, Any], token: Mapping[str, Any]) -> str:
        metadata = pod["metadata"]
        done = self._cluster.kubectl(
            *("create", "token", pod["spec"]["serviceAccountName"], "-n", metadata["namespace"]),
            *("--audience", token["audience"], "--duration", f"{token['expirationSeconds']}s"),
            *("--bound-object-kind", "Pod", "--bound-object-name", metadata["name"]),
            *("--bound-object-uid", metadata["uid"]),
        )
        assert done.exit_code == 0, done.error
        return done.out.strip()

    def _process(
        self, pod: Mapping[str, Any], container: Mapping[str, Any], volumes: Mapping[str, Path]
    ) -> Process:
        environment = {
            one["name"]: one.get("value") or _field(pod, one["valueFrom"]["fieldRef"]["fieldPath"])
            for one in container.get("env", ())
        }
        entry = container.get("command") or [self._programs[container["image"].split(":")[0]]]
        argv = [
            _REFERENCE.sub(lambda match: environment.get(match[1], match[0]), argument)
            for argument in (*entry, *container.get("args", ()))
        ]
        script = _mounts(container, volumes)
        inside = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh")
        command = (*inside, *_as(container["securityContext"]), *argv)
        return Process(
            self._network,
            container["name"],
            command,
            folder=self._folder,
            environment={**environment, "PATH": os.environ["PATH"]},
        )


def _field(pod: Mapping[str, Any], path: str) -> str:
    value: Any = pod
    for name in path.split("."):
        value = value[name]
    return str(value)


def _mounts(container: Mapping[str, Any], volumes: Mapping[str, Path]) -> str:
    """A script that makes the container's files, and then runs what it is given."""
    lines = ["mount -t tmpfs tmpfs /run", "mount -t tmpfs -o mode=1777 tmpfs /dev/shm"]
    for mount in container.get("volumeMounts", ()):
        if mount["name"] not in volumes:
            continue
        source, target = volumes[mount["name"]], mount["mountPath"]
        lines += [f"mkdir -p {target}", f"mount --bind {source} {target}"]
        if mount.get("readOnly"):
            lines.append(f"mount -o remount,bind,ro {target}")
    if container["securityContext"].get("readOnlyRootFilesystem"):
        lines += ["mount -o remount,ro /run", "mount -o remount,bind,ro /"]
    return "\n".join([*lines, 'exec "$@"'])


def _as(context: Mapping[str, Any]) -> tuple[str, ...]:
    """The user and the capabilities of a security context."""
    uid = context["runAsUser"]
    gid = context.get("runAsGroup", uid)
    assert context["capabilities"]["drop"] == ["ALL"]
    added = [f"+{name.lower()}" for name in context["capabilities"].get("add", ())]
    kept = ",".join(["-all", *added])
    new = () if context.get("allowPrivilegeEscalation") else ("--no-new-privs",)
    user = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    return ("setpriv", *user, f"--bounding-set={kept}", "--inh-caps=-all", *new, "--")
