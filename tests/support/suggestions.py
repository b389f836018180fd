"""Whatever explain suggests is applied, and asked again: it must allow what was refused."""

from __future__ import annotations

from dataclasses import replace

import yaml

from support.objects import fill
from towpath.answers import explain as explaining
from towpath.answers.explain import Explanation
from towpath.model.mesh import Mesh, MeshScope
from towpath.model.names import Account
from towpath.model.problem import Problem
from towpath.planning.egress.decide import Attempt
from towpath.sources.decode import decode
from towpath.store import Store

EXPLAIN = explaining.explain


def explain_and_apply(
    mesh: Mesh, account: Account, attempt: Attempt, problems: tuple[Problem, ...]
) -> Explanation:
    """What `explain` says, once what it suggests has been tried."""
    explanation = EXPLAIN(mesh, account, attempt, problems)
    if explanation.suggestion:
        again = EXPLAIN(
            with_manifests(mesh, explanation.suggestion), account, explanation.attempt, ()
        )
        assert again.decision.allowed, (attempt, explanation.suggestion, again.decision.reasons)
    return explanation


def with_manifests(mesh: Mesh, manifests: str) -> Mesh:
    """The mesh after `kubectl apply` of these manifests, of which nothing may be wrong."""
    store = Store(
        MeshScope(
            mesh_name=mesh.mesh_name,
            osm_namespace=mesh.osm_namespace,
            cross_namespace_egress=mesh.cross_namespace_egress,
            outside_endpoints=mesh.outside_endpoints,
            shadow_targets=mesh.shadow_targets,
        ),
        on_change=lambda: None,
    )
    decoded = [decode(raw, "suggested") for raw in yaml.safe_load_all(manifests)]
    assert not [problem for one in decoded for problem in one.problems], manifests
    applied = {(o.kind, o.namespace, o.name): o for one in decoded if (o := one.value)}
    fill(store, *{**mesh.objects, **applied}.values())
    return replace(store.drain()[0], identity=mesh.identity)
