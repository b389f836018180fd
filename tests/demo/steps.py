"""A page of the manual as steps: what a reader types, what is to come of it, what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from support.dataplane.mesh import Document


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a step: whether it went as the page has it, what stood for it, and how long."""

    passed: bool
    done: str
    outcome: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the page: what a reader types, what is to come of it, and how it is done."""

    title: str
    typed: str
    expected: str
    act: Callable[[], Seen]


def run(number: int, step: Step) -> bool:
    """Carry the step out and print it; an error is an outcome. True if it went as it should."""
    try:
        seen = step.act()
    except (AssertionError, OSError, RuntimeError) as error:
        seen = Seen(passed=False, done="", outcome=str(error), milliseconds=0.0)
    print(f"{number}. {step.title}")
    print(f"   manual:  $ {step.typed}")
    print(f"            {step.expected}")
    print(f"   here:    {seen.done}")
    print(f"            {seen.outcome}")
    print(f"   {'PASS' if seen.passed else 'FAIL'}  {seen.milliseconds:.1f} ms\n", flush=True)
    return seen.passed


def milliseconds_since(moment: float) -> float:
    """From a moment of perf_counter until now."""
    return (time.perf_counter() - moment) * 1000


def patch(change: Document) -> str:
    """The manual's command that changes the MeshConfig."""
    text = json.dumps(change, separators=(",", ":"))
    return f"kubectl patch meshconfig osm-mesh-config -n osm-system -p '{text}' --type=merge"


def call(url: str) -> str:
    """The manual's command that calls a URL from the client's pod."""
    return f"kubectl exec curl -n curl -c curl -- curl -sI {url}"
