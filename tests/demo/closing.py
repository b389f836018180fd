"""An open mesh is closed: observe, audit, suggest, apply, switch off; what is in use is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import yaml

from demo.hands import Hands
from demo.steps import Seen, Step, milliseconds_since, patch
from support.dataplane.wait import until

IN_USE = (
    *("http://httpbin.org/get", "http://a.wild.test/", "http://b.wild.test/"),
    *("https://openservicemesh.io/", "https://httpbin.org/get"),
)
UNUSED = "http://wild.test/"
TIMES = 10
ALL = TIMES * len(IN_USE)
SERVER = "towpath {} --server localhost:15128"
_OPEN = {
    "spec": {
        "traffic": {"enableEgress": True},
        "featureFlags": {"enableEgressPolicy": True},
        "observability": {"observeEgress": "reports"},
    }
}
_CLOSED = {"spec": {"traffic": {"enableEgress": False}}}


def closing(hands: Hands) -> Iterator[Step]:
    """docs/observe.md, on a mesh that has nothing but the client."""
    accepted = "accepted"
    yield Step("C0 Open, and observed", patch(_OPEN), accepted, partial(hands.patch, _OPEN))
    yield from hands.client()
    first = partial(hands.call, IN_USE[0], status=200)
    yield Step("C1 Wait until it is open", f"curl -sI {IN_USE[0]}", "HTTP status 200", first)
    work = partial(_work, hands)
    typed = f"curl -sI of {len(IN_USE)} URLs, {TIMES} times"
    yield Step("C2 The application works", typed, f"{ALL} of {ALL} answered", work)
    observed = partial(_observed, hands)
    text = "every host, let out by passthrough"
    yield Step("C3 What leaves?", SERVER.format("observe"), text, observed)
    audited = partial(_audited, hands, 1)
    text = "exit code 1: all of it would be refused"
    yield Step("C4 What would break?", SERVER.format("audit"), text, audited)
    typed = f"{SERVER.format('suggest')} > mesh/suggested.yaml"
    yield Step("C5 Allow it", typed, "policies, as few as do", partial(_suggested, hands))
    text = "exit code 0: nothing would be refused"
    again = partial(_audited, hands, 0)
    yield Step("C6 And now?", SERVER.format("audit"), text, again)
    yield Step("C7 Close the mesh", patch(_CLOSED), accepted, partial(hands.patch, _CLOSED))
    refused = partial(hands.call, UNUSED, status=404)
    yield Step("C8 What was not in use", f"curl -sI {UNUSED}", "HTTP status 404", refused)
    typed = f"curl -sI of {len(IN_USE)} URLs, {TIMES} times"
    yield Step("C9 The application works as before", typed, f"{ALL} of {ALL} answered", work)


def _timed(act: Callable[[], tuple[bool, str, str]]) -> Seen:
    started = time.perf_counter()
    passed, done, outcome = act()
    return Seen(passed, done, outcome, milliseconds_since(started))


def _work(hands: Hands) -> Seen:
    def act() -> tuple[bool, str, str]:
        answered = sum(hands.answered(url) for url in IN_USE * TIMES)
        return answered == ALL, "the same, in the pod", f"{answered} of {ALL} answered"

    return _timed(act)


def _observed(hands: Hands) -> Seen:
    """Sidecars report every five seconds."""

    def act() -> tuple[bool, str, str]:
        counts = until(
            lambda: _counts(hands.ask("observe").text),
            lambda counts: sum(counts) >= ALL,
            what="all of it is reported",
        )
        return True, "$ towpath observe", f"{len(counts)} flows, {sum(counts)} reports"

    return _timed(act)


def _counts(table: str) -> list[int]:
    """The numbers of the column COUNT, third from the end."""
    return [int(line.split()[-3]) for line in table.splitlines()[1:]]


def _audited(hands: Hands, exit_code: int) -> Seen:
    def act() -> tuple[bool, str, str]:
        answer = until(
            lambda: hands.ask("audit"),
            lambda answer: answer.exit_code == exit_code,
            what=f"exit code {exit_code}",
        )
        return True, f"$ {answer.typed}", answer.lines[-1]

    return _timed(act)


def _suggested(hands: Hands) -> Seen:
    def act() -> tuple[bool, str, str]:
        answer = hands.ask("suggest")
        documents = list(yaml.safe_load_all(answer.text))
        applied = hands.apply(*documents)
        kinds = ", ".join(f"{d['kind']} {d['metadata']['name']}" for d in documents)
        return answer.exit_code == 0 and applied.passed, f"$ {answer.typed}", kinds

    return _timed(act)
