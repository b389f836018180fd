"""What `make bench` measures of each server, beside the peers, at the sizes that are asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.push.compare import CONTENDERS, OURS, case_of, compare
from bench.push.contenders import BARE, FLOOR, Case
from bench.push.measure import Figures, connected
from bench.push.mesh import OTHER_CLUSTERS
from towpath.model.types import ENDPOINTS

SIZES = (7, 141, 1418)
"""Resources: about 1, 23 and 230 KB."""

STORM = 141
"""Resources of each that connects in a storm, and of each stream of which memory is measured."""

SERVICES, NAMES = 1_000, 10
"""Whose endpoints are asked for, and how many of them by each sidecar."""

SETTLES_S, IDLE_S = 5.0, 40.0
"""Behind the last response; and for how long streams are idle, which is longer than a keepalive."""

LINEAR, SNAPSHOT, GO = "LinearCache", "SnapshotCache", "grpc-go bytes"

Compared = Mapping[str, Figures]
"""By the name of the contender."""


@dataclass(frozen=True)
class Scale:
    """How large the workloads are: streams of a push, connections of a storm, streams that are
    subscribed to endpoints, connections by mutual TLS, idle streams; and the pushes of each.
    """

    streams: int
    storm: int
    endpoints: int
    tls: int
    idle: int
    pushes: int


def pushes(scale: Scale, variant: str, programs: tuple[Path, Path]) -> dict[int, Compared]:
    """A push to all, by the number of resources."""
    compared: dict[int, Compared] = {}
    for size in SIZES:
        with case_of(variant, clusters=size, streams=scale.streams, programs=programs) as case:
            compared[size] = compare(case, CONTENDERS, pushes=scale.pushes)
    return compared


def storm(scale: Scale, programs: tuple[Path, Path]) -> Compared:
    """All connect at once, and are then sent one push."""
    with case_of("sotw", clusters=STORM, streams=scale.storm, programs=programs) as case:
        return compare(case, [*OURS, BARE, LINEAR, SNAPSHOT, FLOOR], pushes=1)


def endpoint(scale: Scale, programs: tuple[Path, Path]) -> Compared:
    """One endpoint changes, for which one sidecar in a hundred asks."""
    clusters = SERVICES + OTHER_CLUSTERS
    with case_of(
        "delta",
        clusters=clusters,
        streams=scale.endpoints,
        programs=programs,
        type_url=ENDPOINTS,
        names=NAMES,
    ) as case:
        return compare(case, [*OURS, LINEAR, SNAPSHOT], pushes=scale.pushes)


def mutual_tls(scale: Scale, programs: tuple[Path, Path]) -> Compared:
    """All connect by mutual TLS, and are then sent one push."""
    with case_of("sotw", clusters=STORM, streams=scale.tls, programs=programs, tls=True) as case:
        return compare(case, [*OURS, GO, LINEAR], pushes=1)


def idle(scale: Scale, programs: tuple[Path, Path]) -> dict[str, float]:
    """Percent of a core that streams cost while nothing happens."""
    with case_of("sotw", clusters=SIZES[0], streams=scale.idle, programs=programs) as case:
        return {name: _idle(name, case) for name in (*OURS, BARE, GO)}


def _idle(name: str, case: Case) -> float:
    with connected(name, case) as (contender, _, _):
        time.sleep(SETTLES_S)
        before = contender.program.cpu_us()
        time.sleep(IDLE_S)
        return (contender.program.cpu_us() - before) / IDLE_S / 1e4


def ratio(compared: Compared, name: str, base: str, of: str) -> float:
    """By how much a figure of one contender is more than another's; KeyError without either."""
    return float(getattr(compared[name], of) / getattr(compared[base], of))


def names_of(compared: Sequence[Compared]) -> list[str]:
    """Contenders, each once, in their order."""
    return list(dict.fromkeys(name for each in compared for name in each))
