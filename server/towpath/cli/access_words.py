"""Changes of access as people read them."""

from __future__ import annotations

from towpath.answers.access import ANYTHING
from towpath.answers.access_change import AccessTarget, Change, Changes, Direction
from towpath.model.egress import RequestMatch
from towpath.model.names import Account, Protocol
from towpath.model.text import printable

_NAMED = 3


def who(change: Change, accounts: tuple[Account, ...]) -> str:
    """Whom a change is for: a few by name, the rest by number."""
    if change.caller:
        return printable(change.caller)
    names = [str(one) for one in accounts[:_NAMED]]
    more = len(accounts) - len(names)
    return printable(", ".join(names) + (f" and {more} more" if more else ""))


def sentence(change: Change, accounts: int = 1) -> str:
    """`gains GET http://httpbin.org:80/get`; of several accounts, or of callers, `gain …`."""
    one = accounts == 1 and not change.caller
    verb = change.direction.value if one else change.direction.value.removesuffix("s")
    but = "".join(f", but {_request(one)}" for one in change.but)
    return printable(f"{verb} {_what(change)}{but}")


def because(change: Change) -> str:
    """The objects that differ, in brackets; nothing where there are none."""
    return printable(f"  ({', '.join(change.because)})") if change.because else ""


def summary_line(changes: Changes) -> str:
    """For how many service accounts access changes, and for how many it does not."""
    changed = changes.accounts - changes.unchanged
    accounts = "service account" if changes.accounts == 1 else "service accounts"
    return f"{changes.accounts} {accounts}: {changed} changed, {changes.unchanged} unchanged"


def _what(change: Change) -> str:
    target = change.target
    if target.service:
        where = f"Service {target.service} port {target.port}"
        if change.caller:
            where = f"port {target.port} of the pods of Service {target.service}"
        return _asked(change, f"{_request(change.request)} to {where}")
    if not target.port:
        rest = "names" if change.direction is Direction.GAINS else "allows"
        return f"everything outside the mesh that no policy {rest} (egress passthrough)"
    at = f" at {target.block}" if target.block else ""
    return f"{_outside(change, target)}{at}"


def _asked(change: Change, text: str) -> str:
    http = change.target.protocol == Protocol.HTTP
    return text if http else text.replace("any request", "any connection")


def _outside(change: Change, target: AccessTarget) -> str:
    match target.protocol:
        case Protocol.HTTP:
            url = f"http://{target.host}:{target.port}"
            if not target.host:
                return f"{_request(change.request)} to any other host by HTTP on port {target.port}"
            if change.request == ANYTHING:
                return f"any request to {url}"
            return _request(change.request, url)
        case Protocol.HTTPS if target.host:
            return f"https://{target.host}:{target.port}"
        case Protocol.HTTPS:
            return f"TLS for any other server name on port {target.port}"
        case _:
            return f"any connection to port {target.port}"


def _request(request: RequestMatch, url: str = "") -> str:
    """`GET|HEAD http://host:80/path with x-user: .*`."""
    if request == ANYTHING:
        return "any request"
    methods = "|".join(request.methods) or "any method"
    headers = " and ".join(f"{name}: {pattern}" for name, pattern in request.headers)
    return f"{methods} {url}{request.path}" + (f" with {headers}" if headers else "")
