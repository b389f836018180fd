"""A stand-in for the kubelet: it runs a pod that an API server has stored, exactly as it says.

Volumes are folders with what Kubernetes would put there, a token bound to the pod among it; each
container is a process in the pod's network namespace and a mount namespace of its own, with the
user, the capabilities and the read-only files that its security context and the pod's give it.
Images are not pulled: *programs* has what runs in the place of each that a container leaves to its
image.
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
        self._running: dict[str, Process] = {}
        self._sidecars: list[Process] = []

    def run(self, namespace: str, name: str) -> dict[str, Any]:
        """The pod's init containers in order, each to its end, or until a sidecar has started; then
        its containers. Returns the pod as it was stored before.
        """
        where = ("pod", name, "-n", namespace)
        self._status(where, {"phase": "Pending", "podIP": self._address})
        stored: dict[str, Any] = self._cluster.kubectl("get", *where, "-o", "json").json()
        volumes = {
            volume["name"]: self._volume(stored, volume) for volume in stored["spec"]["volumes"]
        }
        for container in stored["spec"]["initContainers"]:
            process = self._start(stored, container, volumes)
            if _is_sidecar(container):
                self._sidecars.append(process)
                self._wait_started(process, container)
            else:
                assert 0 == _exit_code(process), process.tail()
        for container in stored["spec"]["containers"]:
            self._start(stored, container, volumes)
        statuses = _statuses(stored, _ended_before(stored))
        self._status(where, {"phase": "Running", "podIP": self._address, **statuses})
        return stored

    def wait_ready(self, pod: Mapping[str, Any]) -> None:
        """Write that the pod is ready once the readiness probes of its own containers succeed."""
        probed = [one for one in pod["spec"]["containers"] if "readinessProbe" in one]
        wait.until(
            lambda: {self.probe(one, "readinessProbe") for one in probed},
            lambda answers: answers <= {200},
            what=f"{pod['metadata']['name']} is ready",
            within_s=STARTS_WITHIN_S,
            context=self.sidecar.tail,
        )
        where = ("pod", pod["metadata"]["name"], "-n", pod["metadata"]["namespace"])
        self._status(where, {"conditions": [{"type": "Ready", "status": "True"}]})

    def finish(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until all containers of a pod have ended, end its sidecars, the last one first, and
        write that into its status; the pod as it is stored then.
        """
        spec, metadata = pod["spec"], pod["metadata"]
        assert spec["restartPolicy"] == "Never", "what has ended would be started again"
        ended = {one["name"]: _exit_code(self._running[one["name"]]) for one in spec["containers"]}
        succeeded = not any(ended.values())
        for sidecar in reversed(self._sidecars):
            sidecar.check_alive()
            ended[sidecar.name] = sidecar.stop()
        statuses = _statuses(pod, {**_ended_before(pod), **ended})
        where = ("pod", metadata["name"], "-n", metadata["namespace"])
        self._status(where, {"phase": "Succeeded" if succeeded else "Failed", **statuses})
        stored: dict[str, Any] = self._cluster.kubectl("get", *where, "-o", "json").json()
        return stored

    def renew(self, pod: Mapping[str, Any]) -> None:
        """Put a new token into the volumes of a pod that runs."""
        for volume in pod["spec"]["volumes"]:
            self._volume(pod, volume)

    def stop(self) -> None:
        """End all that runs."""
        for process in reversed(self._running.values()):
            process.stop()
        self._running.clear()
        self._sidecars.clear()

    @property
    def sidecar(self) -> Process:
        """The one that started last."""
        return self._sidecars[-1]

    def probe(self, container: Mapping[str, Any], field: str) -> int:
        """The status of the kubelet's HTTP probe; 0 if nobody answers in time."""
        probe = container[field]
        question = probe["httpGet"]
        url = f"http://{self._address}:{question['port']}{question['path']}"
        options = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "1")
        return int(self._node.run("curl", *options, url).stdout)

    def _start(
        self, pod: Mapping[str, Any], container: Mapping[str, Any], volumes: Mapping[str, Path]
    ) -> Process:
        process = self._process(pod, container, volumes)
        process.start()
        self._running[container["name"]] = process
        return process

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
        """Files behind two links, so that all of them change at once; of the pod's group, if it has
        one, and then not everybody's.
        """
        group = pod["spec"].get("securityContext", {}).get("fsGroup")
        folder = self._folder / "volumes" / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        data = Path(tempfile.mkdtemp(prefix="..", dir=folder))
        for one in (folder.parent, folder, data):
            one.chmod(0o755)
        for name, text in self._files(pod, volume).items():
            (data / name).write_text(text)
            (data / name).chmod(0o644 if group is None else 0o640)
            os.chown(data / name, -1, -1 if group is None else group)
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
                files[item["path"]] = _field(pod, item["fieldRef"]["fieldPath"])
            if config := source.get("configMap"):
                where = ("-n", pod["metadata"]["namespace"], "-o", "json")
                shown = self._cluster.kubectl("get", "configmap", config["name"], *where)
                data = shown.json()["data"]
                files.update({item["path"]: data[item["key"]] for item in config["items"]})
        return files

    def _token(self, pod: Mapping[str, Any], token: Mapping[str, Any]) -> str:
        metadata = pod["metadata"]
        # Without one it is for the API server.
        audience = ("--audience", token["audience"]) if "audience" in token else ()
        done = self._cluster.kubectl(
            *("create", "token", pod["spec"]["serviceAccountName"], "-n", metadata["namespace"]),
            *(*audience, "--duration", f"{token['expirationSeconds']}s"),
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
        command = (*inside, *_as(_security(pod, container)), *argv)
        return Process(
            self._network,
            container["name"],
            command,
            folder=self._folder,
            environment={**environment, "PATH": os.environ["PATH"]},
        )


def _field(pod: Mapping[str, Any], path: str) -> str:
    if annotation := re.fullmatch(r"metadata\.annotations\['(.+)'\]", path):
        return str(pod["metadata"]["annotations"][annotation[1]])
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
    if container.get("securityContext", {}).get("readOnlyRootFilesystem"):
        lines += ["mount -o remount,ro /run", "mount -o remount,bind,ro /"]
    return "\n".join([*lines, 'exec "$@"'])


def _security(pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    """The container's context, with what it leaves to the pod's."""
    context = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
    refused = context.get("runAsNonRoot") and context.get("runAsUser", 0) == 0
    assert not refused, f"container {container['name']} must not run as root, and would"
    return context


def _as(context: Mapping[str, Any]) -> tuple[str, ...]:
    """The user, the groups and the capabilities of a security context."""
    uid = context.get("runAsUser", 0)
    gid = context.get("runAsGroup", uid)
    capabilities = context.get("capabilities", {})
    assert capabilities.get("drop", ["ALL"]) == ["ALL"]
    added = [f"+{name.lower()}" for name in capabilities.get("add", ())]
    kept = ",".join(["-all", *added])
    bounds = (f"--bounding-set={kept}", "--inh-caps=-all") if "drop" in capabilities else ()
    new = () if context.get("allowPrivilegeEscalation") else ("--no-new-privs",)
    groups = f"--groups={context['fsGroup']}" if "fsGroup" in context else "--clear-groups"
    user = (f"--reuid={uid}", f"--regid={gid}", groups)
    return ("setpriv", *user, *bounds, *new, "--")


def _is_sidecar(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _exit_code(process: Process) -> int | None:
    """How it ended, once it has."""
    return wait.until(
        lambda: process.exit_code,
        lambda code: code is not None,
        what=f"container {process.name} ends",
        within_s=STARTS_WITHIN_S,
        context=process.tail,
    )


def _ended_before(pod: Mapping[str, Any]) -> dict[str, int]:
    """The exit codes of what has ended when a pod's own containers start."""
    init = pod["spec"]["initContainers"]
    return {one["name"]: 0 for one in init if not _is_sidecar(one)}


def _statuses(pod: Mapping[str, Any], ended: Mapping[str, int | None]) -> dict[str, Any]:
    """What a pod's status says of its containers; *ended* has the exit codes of some by name, and
    the others run.
    """

    def status(container: Mapping[str, Any]) -> dict[str, Any]:
        name = container["name"]
        running = {"ready": True, "started": True, "state": {"running": {}}}
        terminated = {"ready": False, "state": {"terminated": {"exitCode": ended.get(name)}}}
        common = {"name": name, "image": container["image"], "imageID": "", "restartCount": 0}
        return {**common, **(terminated if name in ended else running)}

    fields = ("initContainer", "container")
    return {f"{one}Statuses": list(map(status, pod["spec"][f"{one}s"])) for one in fields}
