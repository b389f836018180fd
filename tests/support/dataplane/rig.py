"""One mesh under test: its manifests, the control plane that serves them, the pods' sidecars."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Certificates
from support.dataplane.clients import Address, Outcome, until_outcome
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import HTTP_PORT, Hosts
from support.dataplane.mesh import Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import OUTSIDE, ROUTER, Network
from support.dataplane.sidecar import sidecar_config
from support.dataplane.towpath import SERVE, Towpath
from towpath.encode.envoy.bootstrap import Transport

OUTSIDE_HTTP: Address = (OUTSIDE[0], HTTP_PORT)


@dataclass(frozen=True, slots=True)
class Rig:
    """All parts; sidecars are keyed by the pod's name. The client is the pod `curl`."""

    network: Network
    hosts: Hosts
    manifests: Manifests
    towpath: Towpath
    sidecars: Mapping[str, Envoy]
    transport: Transport
    folder: Path

    @property
    def client(self) -> Namespace:
        return self.network.pods["curl"]

    @property
    def sidecar(self) -> Envoy:
        """The client's sidecar."""
        return self.sidecars["curl"]

    @property
    def refusal(self) -> Outcome:
        """What a new connection to the outside meets while egress is off.

        Without anything allowed out there is no listener; with one it accepts, then cuts.
        """
        return Outcome.REFUSED if list(self.sidecars) == ["curl"] else Outcome.CUT

    def switch_egress(self, *, on: bool) -> None:
        """Set the switch in the MeshConfig and return when the client's sidecar obeys."""
        asyncio.run(self.toggle(on=on))

    async def toggle(self, *, on: bool) -> float:
        """Like `switch_egress`; returns the seconds from the file's change to obedience."""
        wanted = Outcome.ANSWERED if on else self.refusal
        changed = self.manifests.set_egress(on=on)
        return await until_outcome(self.client, OUTSIDE_HTTP, wanted) - changed


@contextmanager
def open_rig(
    network: Network,
    hosts: Hosts,
    manifests: Manifests,
    *,
    transport: Transport,
    folder: Path,
    certificates: Certificates | None = None,
    serve: Sequence[str] = SERVE,
) -> Iterator[Rig]:
    """Serve *manifests*, start a sidecar in each pod they have, and end all of it at the end.

    With *certificates*, each part has one, and they speak mutual TLS. *serve* is the control
    plane's command.
    """
    with ExitStack() as stack:
        tls = None if certificates is None else certificates.server(addresses=(ROUTER,))
        towpath = Towpath(network.control, manifests.folder, folder=folder, tls=tls, serve=serve)
        stack.enter_context(towpath)
        sidecars = {}
        for pod in manifests.all("Pod"):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            if certificates is not None:
                tls = certificates.sidecar(namespace, pod["spec"]["serviceAccountName"])
            config = sidecar_config(
                f"{name}.{namespace}", server=towpath.ads, transport=transport, tls=tls
            )
            envoy = Envoy(network.pods[name], config, folder=folder)
            sidecars[name] = stack.enter_context(envoy)
        for envoy in sidecars.values():
            envoy.wait_ready()
        yield Rig(network, hosts, manifests, towpath, sidecars, transport, folder)
