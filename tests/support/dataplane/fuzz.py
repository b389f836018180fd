"""Generated sets of policies and attempts, small pools so that much overlaps; by seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.dataplane.hosts import FUZZ_NAMES, FUZZ_PORTS
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import Document, egress, route_group
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

HOSTS = (*FUZZ_NAMES, "*.fuzz.test", "*.a.fuzz.test", "*.b.a.fuzz.test", "*.fuzz.org")
BAD_HOSTS = ("http://a.fuzz.test", "a*.fuzz.test", "*", "a.fuzz.test:80", "")
RANGES = ("0.0.0.0/0", "10.20.0.0/24", "10.20.0.8/29", f"{OUTSIDE[0]}/32", "192.0.2.0/24")
BAD_RANGES = ("10.0.0.0/99", "::1/128", "10.20.0.10")
PROTOCOLS = ("http", "HTTP", "https", "Https", "tcp", "tcp-server-first")
GROUPS = {"g": ("/a", "/b/.*"), "h": ("/.*",), "any": (".*",), "bad": ("(", "/c"), "gone": ()}
ADDRESSES = (OUTSIDE[0], OUTSIDE[1], OUTSIDE[4], OUTSIDE[6])
PATHS = ("/a", "/b/x?y=/a", "/c", "/a/")
FOLDED = (
    *("/b/../a", "/b/%2e%2E/a", "/b/..%2fa", "/b//a", "/b/..;/a", "/b\\a", "/b/%255ca", "/b/."),
    *("/a?x=../;//", "/b/..x", "/b/.x/...x", "/a#b"),
)
"""Paths that a server may fold, and some that look so, or are none."""
MARKER_PORT = 7999


@dataclass(frozen=True)
class Case:
    """One set of policies with a marker that makes its plan unlike any other, and attempts."""

    seed: int
    documents: tuple[Document, ...]
    passthrough: bool
    attempts: tuple[Attempt, ...]

    @property
    def marker(self) -> str:
        return f"marker-{self.seed}"


def case(seed: int, *, attempts: int) -> Case:
    """The case of that seed, always the same."""
    dice = random.Random(seed)
    marker = egress(
        f"marker-{seed}",
        (MARKER_PORT, "tcp"),
        ranges=[f"192.0.{seed // 256 % 256}.{seed % 256}/32"],
    )
    groups = [route_group(name, *paths) for name, paths in GROUPS.items() if paths]
    return Case(
        seed=seed,
        documents=(*_policies(dice), *groups, marker),
        passthrough=dice.random() < 0.4,
        attempts=tuple(_attempt(dice) for _ in range(attempts)),
    )


def _policies(dice: random.Random) -> Iterator[Document]:
    for number in range(dice.randint(1, 5)):
        ports = {(dice.choice(FUZZ_PORTS), dice.choice(PROTOCOLS)) for _ in range(2)}
        if dice.random() < 0.1:
            ports.add((70000, "http"))
        hosts = _some(dice, HOSTS, BAD_HOSTS, at_most=3)
        ranges = _some(dice, RANGES, BAD_RANGES, at_most=2) if dice.random() < 0.4 else []
        groups = dice.sample(list(GROUPS), dice.randint(1, 2)) if dice.random() < 0.4 else []
        settings = ["gone"] if dice.random() < 0.05 else []
        yield egress(
            f"p{number}",
            *sorted(ports),
            hosts=hosts,
            ranges=ranges,
            groups=groups,
            settings=settings,
        )


def _some(
    dice: random.Random, good: tuple[str, ...], bad: tuple[str, ...], *, at_most: int
) -> list[str]:
    chosen = [dice.choice(good) for _ in range(dice.randint(0, at_most))]
    return [*chosen, dice.choice(bad)] if dice.random() < 0.15 else chosen


def _attempt(dice: random.Random) -> Attempt:
    port = dice.choice(FUZZ_PORTS)
    host = dice.choice((*FUZZ_NAMES, *FUZZ_NAMES, "unnamed.fuzz.example"))
    what: dict[str, Any] = {"address": dice.choice(ADDRESSES), "port": port}
    match dice.choice(("http", "http", "https", "https", "tcp")):
        case "http":
            return Attempt(protocol=Protocol.HTTP, **what, **_request(dice, host, port))
        case "https":
            name = host if dice.random() < 0.9 else ""
            return Attempt(protocol=Protocol.HTTPS, host=name, **what)
        case _:
            return Attempt(protocol=Protocol.TCP, **what)


def _request(dice: random.Random, host: str, port: int) -> dict[str, Any]:
    forms = (host, host, host, host.upper(), f"{host}.", f"{host}:{port}", f"{host}.:{port}")
    authority = dice.choice((*forms, f"{host}:{port + 100}", ".fuzz.test", f"{host}.."))
    match dice.choice(("plain", "plain", "folded", "connect", "asterisk")):
        case "plain":
            return {
                "host": authority,
                "method": dice.choice(("GET", "PUT")),
                "path": dice.choice(PATHS),
            }
        case "folded":
            return {"host": authority, "method": "GET", "path": dice.choice(FOLDED)}
        case "connect":
            return {"host": authority, "method": "CONNECT", "path": ""}
        case _:
            return {"host": authority, "method": "OPTIONS", "path": dice.choice(("*", "/a"))}
