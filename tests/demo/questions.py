"""What people ask Towpath around a policy: what it would open, and what a sidecar has of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial

from demo.hands import Answer, Hands
from demo.steps import Seen, Step, milliseconds_since
from support.dataplane.mesh import Document
from support.dataplane.wait import until

_ACCOUNT, _SIDECAR = "curl/curl", "curl.curl"


def before(hands: Hands, title: str, url: str, document: Document) -> Iterator[Step]:
    """The request is denied, and what the policy would open is said before it is applied."""
    denied = partial(_explained, hands, url, "DENY", 1)
    yield Step(f"{title}: is it allowed?", _explain(url), "DENY, with exit code 1", denied)
    gained = f"what {_ACCOUNT} gains, by the policy, with exit code 1"
    opened = partial(_opened, hands, document)
    yield Step(f"{title}: what would a policy open?", "towpath diff cluster: mesh", gained, opened)


def after(hands: Hands, title: str, url: str, cluster: str) -> Iterator[Step]:
    """The request is allowed, and the sidecar has acknowledged all, the *cluster* among it."""
    allowed = partial(_explained, hands, url, "ALLOW", 0)
    yield Step(f"{title}: is it allowed now?", _explain(url), "ALLOW, with exit code 0", allowed)
    typed = f"towpath config {_SIDECAR}"
    expected = f"all of it acknowledged, and {cluster} in it"
    has = partial(_acknowledged, hands, cluster)
    yield Step(f"{title}: what does the sidecar have?", typed, expected, has)


def _explain(url: str) -> str:
    return f"towpath explain --from {_ACCOUNT} --to {url}"


def _explained(hands: Hands, url: str, verdict: str, exit_code: int) -> Seen:
    words = ("explain", "--from", _ACCOUNT, "--to", url)

    def seen(answer: Answer) -> bool:
        return answer.exit_code == exit_code and answer.text.startswith(verdict)

    return _asked(lambda: hands.ask(*words), seen)


def _opened(hands: Hands, document: Document) -> Seen:
    name = f"{document['kind']} {document['metadata']['namespace']}/{document['metadata']['name']}"

    def seen(answer: Answer) -> bool:
        gains = [one for one in answer.lines if one.startswith(f"{_ACCOUNT} gains ")]
        return answer.exit_code == 1 and bool(gains) and all(name in one for one in gains)

    return _asked(lambda: hands.diff(document), seen)


def _acknowledged(hands: Hands, cluster: str) -> Seen:
    def seen(answer: Answer) -> bool:
        counts = re.findall(r"^\w+: (\d+) of (\d+) acknowledged$", answer.text, re.MULTILINE)
        whole = bool(counts) and all(number == total for number, total in counts)
        return answer.exit_code == 0 and whole and f"  cluster {cluster}" in answer.text

    return _asked(lambda: hands.ask("config", _SIDECAR), seen)


def _asked(ask: Callable[[], Answer], seen: Callable[[Answer], bool]) -> Seen:
    """Ask until the server has seen the last change, and its sidecar has answered it."""
    started = time.perf_counter()
    answer = until(ask, seen, what="that is the answer")
    text = "\n            ".join(answer.lines)
    return Seen(True, f"$ {answer.typed}", text, milliseconds_since(started))
