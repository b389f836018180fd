"""The mesh of the manual's pages in a cluster: Towpath, and one client with a real sidecar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.netns import Namespace
from support.dataplane.network import Network
from support.dataplane.sidecar import sidecar_config
from support.deploy import CRDS, DEPLOY
from support.kube.cluster import Cluster, Kubectl
from support.kube.replica import Replica
from towpath.encode.envoy.bootstrap import Transport
from towpath.sources.kube.checkpoint import Origin

RIGHTS = list(yaml.safe_load_all((DEPLOY / "base" / "rbac.yaml").read_text()))
_PLAYED = """
status:
  phase: Running
  containerStatuses:
  - {name: curl, ready: true, image: curl, imageID: "", restartCount: 0, state: {running: {}}}
"""
"""What the kubelet says of a pod whose containers run."""


def install(cluster: Cluster) -> None:
    """What `deploy/` brings before the control plane runs: definitions, namespace, rights."""
    definitions = [yaml.safe_load(path.read_text()) for path in CRDS]
    _done(cluster.apply(*definitions))
    names = [f"crd/{one['metadata']['name']}" for one in definitions]
    _done(cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names))
    cluster.kubectl("create", "namespace", "osm-system")
    _done(cluster.apply(*RIGHTS))


@dataclass
class KubeMesh:
    """Its parts; the client's sidecar runs once it is started."""

    cluster: Cluster
    network: Network
    hosts: Hosts
    replica: Replica
    folder: Path
    stack: ExitStack = field(repr=False)
    envoy: Envoy | None = None

    @property
    def pod(self) -> Namespace:
        return self.network.pods["curl"]

    @property
    def kept(self) -> Path:
        """The checkpoint, if Towpath keeps one."""
        return self.folder / "kept"

    @property
    def origin(self) -> Origin:
        """Whose checkpoint Towpath writes here."""
        certificates = hashlib.sha256(self.cluster.authority.read_bytes()).hexdigest()
        return Origin("osm", "osm-system", self.cluster.url, certificates)

    def start_client(self) -> None:
        """The client's pod, in a namespace of the mesh, with a sidecar that is not injected."""
        self.cluster.kubectl("create", "namespace", "curl")
        label = "openservicemesh.io/monitored-by=osm"
        _done(self.cluster.kubectl("label", "namespace", "curl", label, "--overwrite"))
        gone = ("--ignore-not-found", "--now")
        self.cluster.kubectl("delete", "pod", "curl", "-n", "curl", *gone)
        _done(self.cluster.apply(*yaml.safe_load_all((CURL_ALONE / "curl.yaml").read_text())))
        self.start_sidecar()

    def start_sidecar(self) -> Envoy:
        """Play the kubelet for the pod `curl`: its sidecar runs, and its status says so."""
        if self.envoy is None:
            config = sidecar_config(
                "curl.curl", server=self.replica.socket, transport=Transport.DELTA
            )
            self.envoy = self.stack.enter_context(Envoy(self.pod, config, folder=self.folder))
        self.envoy.wait_ready()
        change = ("--subresource=status", "--type=merge", "-p", _PLAYED)
        _done(self.cluster.kubectl("patch", "pod", "curl", "-n", "curl", *change))
        return self.envoy

    def context(self) -> str:
        """What to say with a failure."""
        sidecar = "" if self.envoy is None else self.envoy.process.tail()
        return f"{self.replica.log[-2000:]}\n{sidecar}"


@contextmanager
def open_kube_mesh(
    cluster: Cluster, network: Network, hosts: Hosts, *, checkpoint: bool = False
) -> Iterator[KubeMesh]:
    """A MeshConfig with everything shut, and a Towpath with its own rights; no client yet."""
    (config,) = yaml.safe_load_all((CURL_ALONE / "meshconfig.yaml").read_text())
    _done(cluster.apply(config))
    # No other namespace is in the mesh: with a service there, refusals look otherwise.
    _done(cluster.kubectl("label", "namespace", "--all", "openservicemesh.io/monitored-by-"))
    policies = "egress,httproutegroup,upstreamtrafficsetting"
    cluster.kubectl("delete", policies, "--all", "-n", "curl")
    with TemporaryDirectory(prefix="towpath-mesh-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # the sidecar's user must reach the socket
        options = ("--checkpoint", str(folder / "kept")) if checkpoint else ()
        replica = stack.enter_context(Replica(cluster, "towpath", folder, options=options))
        yield KubeMesh(cluster, network, hosts, replica, folder, stack)


def _done(kubectl: Kubectl) -> None:
    assert kubectl.exit_code == 0, kubectl.error
