"""Make before break, revoke at once: whatever happens, whenever a message arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.model_clients import DeltaModel, SotwModel
from support.resources import FakeVocabulary, content_of, resource
from towpath.encode.pack import unpack
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

HOSTS, CLUSTERS, CONFIGURATIONS = "abc", "XYZ", ("r1", "r2")
World = Mapping[str, Mapping[str, str]]
"""By route configuration, or "tcp" for the listener's own chains: where each host leads."""

targets = st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(CLUSTERS))
worlds = st.fixed_dictionaries({}, optional=dict.fromkeys(("tcp", *CONFIGURATIONS), targets))


def _parts(content: str) -> set[str]:
    return set(filter(None, content.split("|")))


def _content(held: Resource) -> str:
    return content_of(unpack(held))[1]


def _intersection(held: Resource, new: Resource) -> Resource | None:
    if held.type_url not in (LISTENER, ROUTES):
        return held
    both = _parts(_content(held)) & _parts(_content(new))
    return resource(held.type_url, held.name, "|".join(sorted(both)))


def _snapshot(world: World, revision: int) -> Snapshot:
    """The listener leads to each route configuration; all are consistent with each other."""
    used = {to for leads in world.values() for to in leads.values()}
    chains = {f"{host}>{to}" for host, to in world.get("tcp", {}).items()}
    chains |= {f"rds>{name}" for name in world if name != "tcp"}
    configurations = {
        name: "|".join(sorted(f"{host}>{to}" for host, to in leads.items()))
        for name, leads in world.items()
        if name != "tcp"
    }
    contents = {
        # A cluster changes now and then, and then warms again.
        CLUSTER: {name: str(revision // 3) for name in used},
        ENDPOINTS: dict.fromkeys(used, "1"),
        LISTENER: {"out": "|".join(sorted(chains))},
        ROUTES: configurations,
    }
    sets = {
        type_url: ResourceSet(
            type_url, (Layer(tuple(resource(type_url, n, c) for n, c in held.items())),)
        )
        for type_url, held in contents.items()
    }
    return Snapshot(sets, FakeVocabulary(intersection=_intersection))


class _Sidecar:
    """A model client that asks as Envoy does: for what its clusters and listeners refer to, and
    before it acknowledges them.
    """

    def __init__(self, variant: type[SotwModel] | type[DeltaModel], world: World) -> None:
        self.model = variant({}, names_what_is_bad=True)
        self.world, self.revision = world, 0
        self.model.accepted = self._accepted
        self.publish(world)
        for type_url in (CLUSTER, LISTENER):
            self.model.subscribe(type_url, names=set(), wildcard=True)
            self.settle()

    def publish(self, world: World) -> None:
        self.world, self.revision = world, self.revision + 1
        self.model.publish_snapshot(_snapshot(world, self.revision))

    def settle(self) -> None:
        """Let all that is under way arrive; no time passes."""
        while self.server_step() or self.client_step():
            pass

    def server_step(self) -> bool:
        return self.model.server_step()

    def client_step(self) -> bool:
        return self.model.client_step() and self.check()

    def reconnect(self) -> None:
        self.model.reconnect()

    def contents(self, type_url: str) -> dict[str, str]:
        held = self.model.types.get(type_url)
        return held.contents if held else {}

    def _accepted(self, type_url: str) -> None:
        if type_url == CLUSTER:
            self._ask(ENDPOINTS, set(self.contents(CLUSTER)))
        elif type_url == LISTENER:
            chains = _parts(self.contents(LISTENER).get("out", ""))
            self._ask(ROUTES, {c.removeprefix("rds>") for c in chains if c.startswith("rds>")})

    def _ask(self, type_url: str, names: set[str]) -> None:
        held = self.model.types.get(type_url)
        if names != (held.names if held else set()):
            self.model.subscribe(type_url, names=names, wildcard=False)

    def check(self) -> bool:
        """Whatever leads somewhere leads to a cluster that is there."""
        chains = _parts(self.contents(LISTENER).get("out", ""))
        leads = {chain for chain in chains if not chain.startswith("rds>")}
        leads |= {part for held in self.contents(ROUTES).values() for part in _parts(held)}
        used = {part.partition(">")[2] for part in leads}
        there = self.contents(CLUSTER).keys()
        assert used <= there, f"{sorted(used - there)} of {sorted(leads)}"
        return True

    def held_when_all_has_arrived(self, type_url: str) -> dict[str, str]:
        """What it holds once it has read what was sent until now, and said nothing to it."""
        held = dict(self.contents(type_url))
        for response in self.model.under_way:
            if response.type_url == type_url:
                if type_url == LISTENER and not response.versions:
                    held.clear()
                held.update(response.contents)
                for name in response.removed:
                    held.pop(name, None)
        return {n: c for n, c in held.items() if self.model.types[type_url].wants(n)}

    def check_revoked(self) -> None:
        """Nothing that is allowed no more waits for anything."""
        current = _snapshot(self.world, self.revision)
        for type_url in (LISTENER, ROUTES):
            if type_url not in self.model.types:
                continue
            for name, content in self.held_when_all_has_arrived(type_url).items():
                now = current.of(type_url).get(name)
                if now is not None:
                    assert _parts(content) <= _parts(_content(now))


@pytest.mark.timeout(300)  # a thousand examples, on a machine with other work
@pytest.mark.parametrize("variant", [SotwModel, DeltaModel])
@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
@given(
    start=worlds,
    steps=st.lists(
        st.one_of(
            worlds,
            st.sampled_from(("server", "client", "server", "client", "settle", "reconnect")),
        ),
        min_size=4,
        max_size=24,
    ),
)
def test_nothing_leads_nowhere_and_nothing_that_is_taken_away_waits(
    variant: Any, start: World, steps: list[World | str]
) -> None:
    sidecar = _Sidecar(variant, start)
    for step in steps:
        match step:
            case "server":
                sidecar.server_step()
            case "client":
                sidecar.client_step()
            case "settle":
                sidecar.settle()
            case "reconnect":
                # What a client that was away holds is known again when it has said so.
                sidecar.settle()
                sidecar.reconnect()
                sidecar.settle()
            case _:
                everything_said = sidecar.model.said_everything
                sidecar.publish(step)  # type: ignore[arg-type]
                if everything_said:
                    sidecar.check_revoked()
    sidecar.settle()

    current = _snapshot(sidecar.world, sidecar.revision)
    for type_url in (LISTENER, ROUTES):
        held = sidecar.contents(type_url)
        assert {n: c for n, c in held.items() if n in current.of(type_url)} == {
            n: _content(r) for n, r in current.of(type_url).items() if n in held
        }
    assert {"out"} == sidecar.contents(LISTENER).keys()


@pytest.mark.parametrize("variant", [SotwModel, DeltaModel])
def test_a_name_that_is_asked_for_and_not_there_holds_up_nothing_that_is_taken_away(
    variant: Any,
) -> None:
    sidecar = _Sidecar(variant, {"r1": {"a": "X", "b": "X"}})
    sidecar.model.subscribe(ROUTES, names={"r1", "gone"}, wildcard=False)
    sidecar.settle()
    assert {"r1": "a>X|b>X"} == sidecar.contents(ROUTES)

    sidecar.publish({"r1": {"a": "X", "c": "Y"}})

    assert {"r1": "a>X"} == sidecar.held_when_all_has_arrived(ROUTES)
    sidecar.check_revoked()
