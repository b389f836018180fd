"""`towpath certificates rotate`: another authority, in three steps without a lost connection."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import grpc

from towpath.cli.cluster import default_kubeconfig, namespace_option, on_cluster
from towpath.cli.holdings import Holding, holdings
from towpath.cli.options import refuse_beside
from towpath.cli.place import Cluster, Place
from towpath.cli.replicas import replicas_of
from towpath.cli.server import TIMEOUT_S, Server, server_option
from towpath.cli.settings import setting_options
from towpath.clock import utc_now
from towpath.kubeapi.kubeconfig import kubeconfig_files
from towpath.settings import AccessSettings
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from cryptography import x509

    from towpath.ca.rotation import Entries
    from towpath.inject.trust import Trust
    from towpath.kubeapi.client import KubeApi

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica, of that name, says of its authority, and what its sidecars hold."""

    name: str
    overview: pb.GetOverviewResponse
    sidecars: Sequence[Holding]


Step = Callable[["Entries", "Trust", Sequence[Replica]], "Entries"]
"""Makes the Secret's next entries of the present ones; ca.rotation.TooEarly."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whom a step asks what replicas and sidecars hold, and the mesh whose pods must follow."""

    place: Place
    further: tuple[str, ...]
    mesh_name: str


further_option = click.option(
    "--further",
    "further",
    multiple=True,
    metavar="ADDRESS",
    help="With --server, the address of another replica, reached with the same certificate. Can be "
    "given several times.",
)

AFTER_TRUST = """\
A new root is trusted; the old one still signs. Before `rotate sign`: issue again what was issued by
hand (`towpath certificates sidecar`, `person`), and restart pods whose bootstrap names the old root
only, so that all of them know both."""

AFTER_SIGN = """\
The new root signs. Before `rotate drop`: `kubectl rollout restart deployment/towpath`, so that the
server shows a certificate of the new root, and issue again what was issued by hand."""

AFTER_DROP = """\
The old root is trusted no longer. `kubectl rollout restart deployment/towpath`, so that the server
takes no certificate of the old root either."""


@click.group()
def rotate() -> None:
    """Exchange the authority in the Secret towpath-ca: trust, then sign, then drop.

    Each step refuses while a replica has not taken the one before, a connected sidecar has not
    acknowledged it, or an injected pod could not reach a server that has taken it.
    """


def _kubeconfig_of(kubeconfig: Path | None) -> Path | None:
    """What is given; else kubectl's, if there is one; else None, the cluster that we run in."""
    usual = default_kubeconfig()
    return kubeconfig or (usual if kubeconfig_files(usual) else None)


def asking_options(command: F) -> F:
    """Add the options of a step that asks what replicas and sidecars hold, and take the step that
    the command returns.
    """

    @functools.wraps(command)
    def with_holdings(
        *,
        osm_namespace: str,
        kubeconfig: Path | None,
        context: str,
        mesh_name: str,
        server: Server | None,
        further: tuple[str, ...],
    ) -> None:
        kubeconfig = _kubeconfig_of(kubeconfig)
        if server is None and kubeconfig is not None:
            place: Place = Cluster(kubeconfig, context, osm_namespace)
            reason = "every replica is asked already"
            refuse_beside("a cluster's control plane", "further", reason=reason)
        else:
            place = server or Server(AccessSettings().ads_address, None)
        step, after = command()
        _change(osm_namespace, kubeconfig, context, step, Question(place, further, mesh_name))
        click.echo(after)

    options = (
        namespace_option,
        setting_options("kubeconfig", "context", "mesh_name"),
        server_option(default=None),
        further_option,
    )
    decorated: Any = with_holdings
    for add in reversed(options):
        decorated = add(decorated)
    return cast("F", decorated)


@rotate.command()
@namespace_option
@setting_options("kubeconfig", "context")
def trust(*, osm_namespace: str, kubeconfig: Path | None, context: str) -> None:
    """Make a new root, which sidecars trust beside the old one."""
    from towpath.ca import rotation
    from towpath.ca.mesh_authority import LIFETIME, NAME

    def step(entries: Entries, _pods: Trust, _replicas: Sequence[Replica]) -> Entries:
        return rotation.trust(entries, NAME, lifetime=LIFETIME, clock=utc_now)

    _change(osm_namespace, _kubeconfig_of(kubeconfig), context, step)
    click.echo(AFTER_TRUST)


@rotate.command()
@asking_options
def sign() -> tuple[Step, str]:
    """Let the new root sign, once every replica and every sidecar trusts it."""
    from towpath.ca import rotation
    from towpath.ca.authority import fingerprint

    def step(entries: Entries, pods: Trust, replicas: Sequence[Replica]) -> Entries:
        root = rotation.next_root(entries, clock=utc_now)
        behind = [one for one in replicas if fingerprint(root) not in one.overview.trusted_roots]
        _no_replica(behind, "trusted by sidecars of")
        _every_pod(pods, root)
        late = [one for one in _sidecars(replicas) if not _trusts(one, root)]
        _no_sidecar(late, "do not trust the new root yet")
        return rotation.sign(entries, clock=utc_now)

    return step, AFTER_SIGN


@rotate.command()
@asking_options
def drop() -> tuple[Step, str]:
    """Trust the old root no longer, once every replica signs with the new one, and every sidecar
    shows a certificate of it.
    """
    from towpath.ca import rotation
    from towpath.ca.authority import fingerprint
    from towpath.ca.mesh_authority import NAME
    from towpath.ca.secret import read_authority

    def step(entries: Entries, pods: Trust, replicas: Sequence[Replica]) -> Entries:
        dropped = rotation.drop(entries, NAME, clock=utc_now)
        root = read_authority(dropped, clock=utc_now).certificate
        behind = [one for one in replicas if one.overview.signing_certificate != fingerprint(root)]
        _no_replica(behind, "what signs at")
        _every_pod(pods, root)
        late = [one for one in _sidecars(replicas) if not _shows(one, root)]
        _no_sidecar(late, "do not show a certificate of the new root yet")
        return dropped

    return step, AFTER_DROP


def _change(
    namespace: str,
    kubeconfig: Path | None,
    context: str,
    step: Step,
    question: Question | None = None,
) -> None:
    """Take a step with the Secret, by what pods of the mesh trust, and replicas and sidecars hold,
    if there is a *question* about these.
    """
    from towpath.ca.mesh_authority import NoAuthority, change_secret
    from towpath.ca.rotation import TooEarly
    from towpath.inject.trust import pods_trust
    from towpath.status.reports import replicas as running_replicas

    async def act(api: KubeApi) -> None:
        pods: Trust = {}
        replicas: list[Replica] = []
        if question is not None:
            replicas = _replicas(question)
            running = await running_replicas(api, namespace, now=utc_now())
            if running > len(replicas):
                raise TooEarly(
                    f"{running} replicas serve sidecars, and {len(replicas)} would be asked: "
                    "give the addresses of the others by --further, or scale to one"
                )
            pods = await pods_trust(api, question.mesh_name)
        await change_secret(api, namespace, lambda entries: step(entries, pods, replicas))

    try:
        on_cluster(kubeconfig, context, act)
    except (NoAuthority, TooEarly) as error:
        raise click.ClickException(str(error)) from error


def _replicas(question: Question) -> list[Replica]:
    """What each replica and its sidecars hold; TooEarly if one has not answered."""
    from towpath.ca.rotation import TooEarly

    places: list[Place] = [question.place]
    if isinstance(question.place, Server):
        tls = question.place.tls
        places += [Server(address, tls) for address in question.further]
    answering: list[Replica] = []
    for place in places:
        with replicas_of(place) as replicas:
            answers = replicas.each(_ask)
        for name, fault in answers.faults.items():
            raise TooEarly(f"{name}: no answer, so what its sidecars hold is not known: {fault}")
        answering += (Replica(name, *answer) for name, answer in answers.messages.items())
    return answering


def _ask(channel: grpc.Channel) -> tuple[pb.GetOverviewResponse, Sequence[Holding]]:
    """What one replica says of its authority, before it says what its sidecars hold."""
    ask = pb_grpc.InspectorStub(channel).GetOverview
    return ask(pb.GetOverviewRequest(), timeout=TIMEOUT_S), holdings(channel)


def _sidecars(replicas: Sequence[Replica]) -> Iterator[Holding]:
    return chain.from_iterable(one.sidecars for one in replicas)


def _no_replica(behind: Sequence[Replica], text: str) -> None:
    """TooEarly if one of them has an authority: a new sidecar would be sent what is old."""
    from towpath.ca.rotation import TooEarly

    names = [one.name for one in behind if one.overview.mtls]
    if names:
        raise TooEarly(
            f"the new root is not {text} the replica {names[0]} yet, which reads the Secret "
            "within two minutes of each change: wait, and try again"
        )


def _no_sidecar(late: Sequence[Holding], text: str) -> None:
    """TooEarly if there are any."""
    from towpath.ca.rotation import TooEarly

    if late:
        some = ", ".join(sorted({one.node_id for one in late})[:5])
        raise TooEarly(f"{len(late)} sidecars {text}, such as {some}: wait, and try again")


def _every_pod(pods: Trust, root: x509.Certificate) -> None:
    """TooEarly unless all of them would take a server with a certificate of that root."""
    from towpath.ca.rotation import TooEarly

    late = sorted(name for name, roots in pods.items() if root not in roots)
    if late:
        some = ", ".join(late[:5])
        raise TooEarly(
            f"{len(late)} injected pods do not have the new root in their bootstrap, such as "
            f"{some}: restart them (`kubectl rollout restart`), and try again"
        )


def _trusts(holding: Holding, root: x509.Certificate) -> bool:
    return holding.accepted and all(root in roots for roots in holding.roots.values())


def _shows(holding: Holding, root: x509.Certificate) -> bool:
    from towpath.ca.authority import issued

    leaves = (chain[0] for chain in holding.chains.values())
    return holding.accepted and all(issued(leaf, root) for leaf in leaves)
