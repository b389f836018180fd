"""What a sidecar lets out."""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.model.plan import Destinations, Outbound
from towpath.model.ways import Ways
from towpath.planning.config import config
from towpath.planning.destinations import directory
from towpath.planning.egress.limits import admission, admission_of, size
from towpath.planning.egress.rules import Rule, Speaking, speaking
from towpath.planning.egress.ways import outside, ways


def outbound(mesh: Mesh, account: Account) -> Outbound:
    """The outbound plan of every sidecar of one service account.

    Outside the mesh, or without a MeshConfig, nothing is let out.
    """
    if not mesh.monitored(account.namespace):
        return Outbound(destinations=Destinations(), passthrough=False)
    opened = mesh.ask(ways_out, account)
    reachable, taken = Destinations(), frozenset[tuple[int, str]]()
    if config(mesh).permissive:
        known = mesh.ask(directory)
        reachable, taken = known.reachable, opened.single & known.dialled
    return Outbound(
        destinations=reachable,
        ways=mesh.ask(_outside, opened, taken),
        passthrough=mesh.ask(admission, account).passthrough,
    )


def ways_out(mesh: Mesh, account: Account) -> Ways:
    """What policies open for the account: nothing of it depends on what the mesh holds."""
    return mesh.ask(_ways_of, account.namespace, mesh.ask(speaking, account))


def _ways_of(mesh: Mesh, namespace: str, policies: Speaking) -> Ways:
    admitted = mesh.ask(admission_of, namespace, policies)
    return mesh.work(size(admitted.rules), _hashed, admitted.rules, admitted.passthrough)


def _hashed(rules: tuple[Rule, ...], passthrough: bool) -> Ways:  # noqa: FBT001 (work's argument)
    """The ways of the rules, hashed where they are made: what is encoded is looked up by that."""
    found = ways(rules, passthrough=passthrough)
    hash(found)
    return found


def _outside(_: Mesh, opened: Ways, taken: frozenset[tuple[int, str]]) -> Ways:
    return outside(opened, taken)
