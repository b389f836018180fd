"""What was reached of what the server is to reach, as the rows of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench.mesh.page import Results
from bench.mesh.picture import Size
from bench.push.contenders import BARE, FAST, FLOOR, TOWPATH
from bench.workloads import GO, LINEAR, SNAPSHOT, Compared, ratio

MIDDLE, LARGE = Size(1_000, 10_000, 1_000), Size(5_000, 10_000, 1_000)
CHANGES = {"connect": 2.0, "endpoint": 0.05, "toggle": 0.5, "Service port": 0.5}
"""Milliseconds of CPU for each sidecar."""
TITLES = ("what", "to reach", "reached: `grpc`", "reached: `fast`")
KIB = 1.024


@dataclass(frozen=True)
class Measured:
    """All that was compared; `pushes` by the variant and the number of resources."""

    pushes: Mapping[str, Mapping[int, Compared]]
    storm: Compared
    endpoint: Compared
    tls: Compared
    idle: Mapping[str, float]
    mesh: Results


def rows(measured: Measured) -> Iterator[tuple[str, str, str, str]]:
    """What, the aim, and each transport's figure, "-" for what was not measured."""
    for variant, by_size in measured.pushes.items():
        yield from _pushes(variant, by_size)
    storm, tls = measured.storm, measured.tls
    last = _times(measured.endpoint, LINEAR, "last_ms")
    yield ("one endpoint, last of its subscribers, of LinearCache's", "≤ 5", *last)
    last = _times(storm, SNAPSHOT, "connected_s")
    yield ("storm, last first configuration, of SnapshotCache's", "≤ 1", *last)
    yield ("the same, of LinearCache's", "< 1", *_times(storm, LINEAR, "connected_s"))
    yield ("storm, refusals", "none", *_each(lambda name: f"{storm[name].refusals:,.0f}"))
    connect = _times(tls, GO, "connect_ms")
    yield ("mutual TLS, connect and first configuration, of grpc-go's", "≤ 1", *connect)
    memory = _each(lambda name: f"{tls[name].stream_kib * KIB:.0f}")
    yield ("a stream with mutual TLS, kB", "≤ 45", *memory)
    yield ("idle streams, % of a core", "≤ 0.5", *_each(lambda name: f"{measured.idle[name]:.2f}"))
    yield from _mesh(measured.mesh)


def _each(text: Callable[[str], str]) -> tuple[str, str]:
    """The text of each transport, "-" for one that was not measured."""

    def one(name: str) -> str:
        try:
            return text(name)
        except KeyError:
            return "-"

    return one(TOWPATH), one(FAST)


def _times(compared: Compared, base: str, of: str) -> tuple[str, str]:
    return _each(lambda name: f"{ratio(compared, name, base, of):.2f}")


def _pushes(variant: str, by_size: Mapping[int, Compared]) -> Iterator[tuple[str, str, str, str]]:
    def each(name: str, base: str) -> str:
        ratios = (ratio(compared, name, base, "cpu_us") for compared in by_size.values())
        return " / ".join(f"{one:.2f}" for one in ratios)

    sizes = " / ".join(f"{size:,}" for size in by_size)
    for base, aim in (
        (BARE, "`grpc`: ≤ 1.5 each"),
        (LINEAR, "`fast`: ≤ 1 / 0.33 / 0.17"),
        (FLOOR, "`fast`: ≤ 4 from 141 on"),
    ):
        what = f"{variant}: push and ACK at {sizes} resources, CPU, of {base}'s"
        yield (what, aim, *_each(lambda name, base=base: each(name, base)))  # type: ignore[misc]
    first, *_, last = by_size.values()
    grown = _each(lambda name: f"{last[name].cpu_us / first[name].cpu_us:.2f}")
    yield (f"{variant}: the most resources, of the fewest", "≤ 1.3", *grown)


def _mesh(results: Results) -> Iterator[tuple[str, str, str, str]]:
    if MIDDLE in results:
        figures, stream_kib, _ = results[MIDDLE]
        each = " / ".join(f"{figures[name].cpu_ms:.2f}" for name in CHANGES)
        aim = "≤ " + " / ".join(f"{most:g}" for most in CHANGES.values())
        what = "1,000 services, 10,000 pods, per sidecar: " + " / ".join(CHANGES)
        yield (f"{what}, ms of CPU", aim, each, "the same")
        yield ("memory of such a stream, kB", "≤ 60", f"{stream_kib * KIB:.0f}", "the same")
    if MIDDLE in results and LARGE in results:
        one, other = (results[size][0]["Service port"] for size in (MIDDLE, LARGE))
        text = f"{other.total_ms / one.total_ms:.1f} ({other.last_s:.2f} s)"
        yield ("a Service's port at 5,000 services, of 1,000", "≤ 5, < 0.5 s", text, "the same")
    holds = [one.hold_ms for figures, *_ in results.values() for one in figures.values()]
    if holds:
        yield ("longest turn of the event loop, ms of CPU", "≤ 50", f"{max(holds):.0f}", "the same")
