"""A pod's Pipy and its agent: the agent in the server's namespace, as root, Pipy in the pod."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from support.dataplane.netns import Namespace
from support.dataplane.network import Network
from support.dataplane.process import Process
from support.pipy.needs import binary, codebase
from towpath.inject.redirect import SIDECAR_UID

# The agent is root here, and its file for its owner only.
_READER = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
AS_SIDECAR = (
    *("setpriv", f"--reuid={SIDECAR_UID}", f"--regid={SIDECAR_UID}", "--clear-groups"),
    *(*_READER, "--"),
)
AGENT = (sys.executable, "-c", "from towpath_client.agent.main import main; main()")


@dataclass
class PipyPod:
    """The pod *name* of the network; its scripts and `config.json` are in *scripts*."""

    network: Network
    name: str
    node_id: str
    server: tuple[str, int]
    folder: Path
    http_port: int = 15906

    def __post_init__(self) -> None:
        self.scripts = Path(shutil.copytree(codebase() or "", self.folder / f"pipy-{self.name}"))
        self.config = self.scripts / "config.json"

    @property
    def pod(self) -> Namespace:
        return self.network.pods[self.name]

    @property
    def health(self) -> str:
        """What the agent says of itself."""
        url = f"http://127.0.0.1:{self.http_port}/health"
        return self.network.control.run("curl", "--silent", "--max-time", "10", url).stdout

    def child(self, *, prefix: tuple[str, ...] = AS_SIDECAR) -> Process:
        """An agent with Pipy as its child; not started."""
        program = self.pod.command(*prefix, str(binary()), str(self.scripts / "main.js"))
        return self._agent("--", *program)

    def elsewhere(self) -> tuple[Process, Process]:
        """Pipy, and an agent that finds it by its pid file; not started."""
        pid, log = self.scripts / "pid", self.scripts / "log"
        program = (*AS_SIDECAR, str(binary()), str(self.scripts / "main.js"))
        begin = f"until [ -s {self.config}.good ] || [ -s {self.config} ]; do sleep 0.1; done"
        line = f"{begin}; echo $$ >{pid}; exec {' '.join(program)} >>{log} 2>&1"
        self.config.unlink()  # the scripts bring one
        pipy = Process(self.pod, f"pipy-{self.name}", ("sh", "-c", line), folder=self.folder)
        return pipy, self._agent("--pid-file", str(pid), "--pipy-log", str(log))

    def _agent(self, *options: str) -> Process:
        command = (
            *(*AGENT, "--server", "{}:{}".format(*self.server), "--node", self.node_id),
            *("--config", str(self.config)),
            *("--http-address", f"127.0.0.1:{self.http_port}", *options),
        )
        name = f"agent-{self.name}"
        return Process(self.network.control, name, command, folder=self.folder)
