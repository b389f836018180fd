"""The control plane without a server: one reading of a folder, for commands that only look."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import cast

from towpath.admin.inspector import answer, listed
from towpath.answers import observed
from towpath.answers.access_change import AccountAccess, account_access
from towpath.answers.access_from_outside import Entrance, Entrances, entrances, let_in
from towpath.answers.audit import Judgement, judge, policies_enabled
from towpath.app.assumptions import Assumptions
from towpath.app.placeholders import placeholders
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.hub.queries import Queries
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Kind, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import Snapshot
from towpath.model.workloads import Pod
from towpath.observe.flow import Flow
from towpath.observe.flows import Counts
from towpath.rollout.records import StreamRecords
from towpath.settings import AccessSettings, MeshSettings, RolloutSettings
from towpath.sources.files import FilesSource
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath_api.v1.inspector_pb2 import ExplainRequest, ExplainResponse, ListProblemsResponse


class Offline:
    """Answers about a folder of manifests as it is now; SourceError if it cannot be read.

    They are those of a server that has an authority. Of a *repository* it is assumed that what it
    cannot hold, because a cluster makes it, is there.
    """

    def __init__(self, folder: Path, mesh: MeshSettings, *, repository: bool = False) -> None:
        store = Store(mesh.scope, on_change=lambda: None)
        source = FilesSource(folder, store)
        source.load()
        self._assumptions = Assumptions(mesh.scope, source, store) if repository else None
        if self._assumptions is not None:
            self._assumptions.make()
        store.identify(placeholders(AccessSettings().tls_trust_domain))
        self._hub = Hub(
            store,
            Debounce(quiet=0, longest=0, clock=time.monotonic),
            records=StreamRecords(clock=time.time),
            metrics=Metrics(),
            clock=time.monotonic,
            rollout=RolloutSettings(),
        )
        self._queries = Queries(self._hub.mesh)

    @property
    def mesh(self) -> Mesh:
        """What is in the folder."""
        return self._hub.mesh

    def access(self, account: Account) -> AccountAccess:
        """All that the account may reach."""
        return self._queries.get(account_access, account)

    @property
    def entrances(self) -> frozenset[Entrance]:
        """Where IngressBackends would let in callers from outside, in force or not."""
        return self._queries.get(entrances)

    def let_in(self, places: frozenset[Entrance]) -> Entrances:
        """Who comes in from outside at these places."""
        return self._queries.get(let_in, tuple(sorted(places)))

    def account_at(self, address: str) -> Account | None:
        """Whose pod has the address; None if that is not known."""
        return self._queries.get(observed.account_at, address)

    def inside(self, address: str, port: int) -> bool:
        """True if that belongs to the mesh."""
        return self._queries.get(observed.inside, address, port)

    def policies(self, flow: Flow, counts: Counts) -> tuple[str, ...]:
        """Which policies what was reported is due to."""
        return self._queries.get(observed.policies, flow, counts)

    def judge(self, flow: Flow, counts: Counts) -> Judgement:
        """What would become of what was reported if egress passthrough were off."""
        return self._queries.get(judge, flow, counts)

    @property
    def policies_enabled(self) -> bool:
        """True if egress policies have an effect."""
        return policies_enabled(self.mesh)

    def snapshot(self, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        """What a sidecar would be sent; None for a pod that does not exist."""
        return self._hub.snapshot(kind, sidecar)

    def explain(self, request: ExplainRequest) -> ExplainResponse:
        """What the Inspector of a server of this folder would answer; ValueError as there."""
        return answer(request, self._hub.explain)

    def problems(self, client: ClientKind | None = None) -> tuple[Problem, ...]:
        """What is wrong with the folder; with *client*, also what such sidecars could not do.

        Of a repository each has the place of its object, and what was assumed is among them.
        """
        problems = set(self._hub.problems())
        if client is not None:
            for pod in cast("tuple[Pod, ...]", self._hub.mesh.group(Kind.POD, "all")):
                problems |= set(self._hub.withheld(client, pod.sidecar))
        if self._assumptions is None:
            return tuple(sorted(problems))
        sources = self._hub.mesh.sources
        answers = self._assumptions.completed(problems)
        return tuple(
            sorted(replace(p, source=p.source or sources.get(p.object, "")) for p in answers)
        )

    def assumptions(self) -> tuple[Problem, ...]:
        """What is assumed of a repository."""
        return () if self._assumptions is None else tuple(self._assumptions.notes())

    def list_problems(self, client: ClientKind | None = None) -> ListProblemsResponse:
        """The same, as the Inspector of a server would send them."""
        return listed(self.problems(client))

    def withheld(self, client: ClientKind, sidecar: SidecarId) -> tuple[Problem, ...]:
        """Where a sidecar of that kind could not do what policies say."""
        return self._hub.withheld(client, sidecar)
