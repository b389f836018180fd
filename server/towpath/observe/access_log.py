"""The access log of a sidecar, line by line: what left the mesh, and what was refused.

A line is one JSON object as `encode/envoy/access_log.py` has Envoy write it; `kubectl logs` and
container runtimes may put their own words before it. What a line holds comes from clients and, if
the file was tampered with, from anybody: it is checked, cut, and never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import msgspec

from towpath.encode.envoy import names
from towpath.encode.envoy.access_log import DENIED, REFUSAL
from towpath.model.addresses import is_ipv4
from towpath.model.egress_plan import PASSTHROUGH
from towpath.model.names import Account, Protocol
from towpath.model.text import shorten
from towpath.observe.flow import LONGEST_TEXT, Flow, Report, Verdict
from towpath.planning.egress.decide import bare

LONGEST_LINE = 1 << 20
"""In bytes. Longer ones are skipped without being kept."""

LONGEST_PATH = 2_000
"""In characters; a longer one is cut there."""

_LONGEST_PREFIX = 512
_MOST_PODS = 10_000
_MOST_POLICIES = 64
_NOT_JSON = "not a JSON object"
_NOT_OURS = "not a line of a sidecar's access log"
_NO_TIME = "start_time is not a time with its zone"
_NO_ADDRESS = "downstream_local_address is not an IPv4 address and port"
_NO_ROUTE = "NR"
_LONGEST_NAME = 2_000
_NAME = re.compile(
    r"spiffe://[a-z0-9._-]+/ns/(?P<namespace>[a-z0-9][-a-z0-9]*)/sa/(?P<name>[a-z0-9][-a-z0-9.]*)"
)

AccountOf = Callable[[str], Account | None]
"""The service account of the pod that has an address; None if that is not known."""

Inside = Callable[[str, int], bool]
"""True if an address and port are those of a Service or pod of the mesh."""


class Unusable(ValueError):
    """A line that says nothing of traffic; the text is one of a few."""


class LogRecord(msgspec.Struct):
    """The fields of one line, or of one report, as Envoy writes them."""

    log: str
    start_time: str
    response_flags: str | None = None
    filter_chain_name: str | None = None
    downstream_remote_address: str | None = None
    downstream_local_address: str | None = None
    requested_server_name: str | None = None
    upstream_cluster: str | None = None
    authority: str | None = None
    method: str | None = None
    path: str | None = None
    route_name: str | None = None
    enforced: str | None = None
    peer: str | None = None


_DECODER = msgspec.json.Decoder(LogRecord)


class AccessLog:
    """Turns lines into reports.

    *account_of* says whose pod has an address, *inside* what belongs to the mesh; where the pod is
    not known the sidecar is that of *account* (None: not known). Without *paths* none is kept.
    With *refusals* they are of requests inside the mesh that were refused, or would be, and of
    nothing else.
    """

    def __init__(
        self,
        *,
        account_of: AccountOf = lambda _: None,
        inside: Inside = lambda _address, _port: False,
        account: Account | None = None,
        paths: bool = False,
        refusals: bool = False,
    ) -> None:
        self._refusals = refusals
        self._account_of = account_of
        self._inside = inside
        self._account = account
        self._paths = paths
        self._pods: dict[str, tuple[Account | None, str]] = {}

    def report(self, line: bytes) -> Report | None:
        """What a line says; None if it is of traffic that stays in the mesh or comes in, or of a
        connection whose requests have lines of their own. Raises Unusable.
        """
        record = _decoded(line)
        if self._refusals:
            return self._refusal(record)
        account, pod_address = self._pod(_text(record.downstream_remote_address))
        flow, address = read(record, account, pod_address, paths=self._paths)
        if flow is None or self._inside(address, flow.port):
            return None
        return Report(_time(record.start_time), flow, address)

    def _refusal(self, record: LogRecord) -> Report | None:
        if record.log != REFUSAL:
            return None
        address, _ = _address(record.downstream_local_address)
        called = self._account_of(address) or self._account
        flow, address = read_refusal(record, called, self._account_of, paths=self._paths)
        return Report(_time(record.start_time), flow, address)

    def _pod(self, peer: str) -> tuple[Account | None, str]:
        """Whose pod it is; of one that nobody knows also its address, if that is one."""
        address = peer.rpartition(":")[0]
        if address not in self._pods:
            if len(self._pods) > _MOST_PODS:
                self._pods.clear()
            account = self._account_of(address) or self._account
            named = account is None and _is_ipv4(address)
            self._pods[address] = account, address if named else ""
        return self._pods[address]


def read(
    record: LogRecord, account: Account | None, pod_address: str = "", *, paths: bool = False
) -> tuple[Flow | None, str]:
    """The flow of a record, and the address that was dialled; no flow for what stays in the mesh or
    comes in, and for a connection whose requests have records of their own. Raises Unusable.
    """
    if record.log == REFUSAL:
        return None, ""
    if record.log not in ("connection", "request"):
        raise Unusable(_NOT_OURS)
    chain = _text(record.filter_chain_name)
    if record.log == "connection" and chain.startswith((names.HTTP_CHAIN, *_IN_MESH)):
        return None, ""
    address, port = _address(record.downstream_local_address)
    flow_of = _request if record.log == "request" else _connection
    return flow_of(record, account, pod_address, address, port, paths=paths), address


def read_refusal(
    record: LogRecord, called: Account | None, account_of: AccountOf, *, paths: bool = False
) -> tuple[Flow, str]:
    """The flow of a request inside the mesh that a pod of account *called* has refused, or would
    refuse, and the address of that pod. Raises Unusable.

    Who calls is what the certificate says, and without one whose pod has the address.
    """
    address, port = _address(record.downstream_local_address)
    peer = _text(record.downstream_remote_address).rpartition(":")[0]
    caller = _certified(_text(record.peer)) or account_of(peer)
    flow = Flow(
        account=caller,
        pod_address=peer if caller is None and _is_ipv4(peer) else "",
        host=str(called) if called else "",
        address="" if called else address,
        port=port,
        protocol=Protocol.HTTP,
        verdict=Verdict.DENY if _text(record.enforced) == DENIED else Verdict.WOULD_DENY,
        method=shorten(_text(record.method), LONGEST_TEXT),
        path=_path(record) if paths else "",
    )
    return flow, address


_IN_MESH = (
    *(names.OUTBOUND_MESH, names.REFUSED_CHAIN),
    *(names.INBOUND_MESH, names.INBOUND_PLAIN, names.INBOUND_PROBES),
)
_REFUSING = (names.REFUSED_NAME_CHAIN, names.SELF_LOOP_GUARD)


def _connection(
    record: LogRecord,
    account: Account | None,
    pod_address: str,
    address: str,
    port: int,
    *,
    paths: bool,
) -> Flow:
    """TLS by its server name, or bytes; one that no chain takes has the flag NR."""
    del paths
    chain = _text(record.filter_chain_name)
    host = _host(_text(record.requested_server_name))
    tls = bool(host) or chain.startswith(names.TLS_CHAINS)
    refused = not chain or chain.startswith(_REFUSING) or _not_routed(record)
    return Flow(
        account=account,
        pod_address=pod_address,
        host=host,
        address="" if host else address,
        port=port,
        protocol=Protocol.HTTPS if tls else Protocol.TCP,
        verdict=Verdict.DENY if refused else Verdict.ALLOW,
        passthrough=not refused and _text(record.upstream_cluster) == PASSTHROUGH,
    )


def _request(
    record: LogRecord,
    account: Account | None,
    pod_address: str,
    address: str,
    port: int,
    *,
    paths: bool,
) -> Flow:
    """A request by its host; what the sidecar could not read as HTTP has none."""
    host = _host(bare(_text(record.authority), port))
    route = _text(record.route_name)
    refused = route == names.REFUSED_ROUTE or not host or _not_routed(record)
    passthrough = _text(record.upstream_cluster) == PASSTHROUGH and not route
    path = _path(record) if paths else ""
    return Flow(
        account=account,
        pod_address=pod_address,
        host=host,
        address="" if host else address,
        port=port,
        protocol=Protocol.HTTP,
        verdict=Verdict.DENY if refused else Verdict.ALLOW,
        policies=() if refused else _policies(route),
        passthrough=passthrough and not refused,
        method=shorten(_text(record.method), LONGEST_TEXT),
        path=path,
    )


def _certified(name: str) -> Account | None:
    """The account that a certificate of the mesh names; whoever reads the log knows its domain."""
    match = _NAME.fullmatch(name[:_LONGEST_NAME])
    return Account(match["namespace"], match["name"]) if match else None


def _path(record: LogRecord) -> str:
    return _text(record.path).partition("?")[0][:LONGEST_PATH]


def _decoded(line: bytes) -> LogRecord:
    start = line.find(b"{", 0, _LONGEST_PREFIX)
    if start < 0:
        raise Unusable(_NOT_JSON)
    try:
        record = _DECODER.decode(line[start:])
    except msgspec.ValidationError as error:
        raise Unusable(_NOT_OURS) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(_NOT_JSON) from error
    return record


def _text(value: str | None) -> str:
    """A field's text; Envoy writes null or - where there is nothing to say."""
    return "" if value in (None, "-") else str(value)


def _not_routed(record: LogRecord) -> bool:
    return _NO_ROUTE in _text(record.response_flags).split(",")


def _host(text: str) -> str:
    return shorten(text.lower(), LONGEST_TEXT)


def _policies(route: str) -> tuple[str, ...]:
    named = (shorten(name, LONGEST_TEXT) for name in route.split(",")[:_MOST_POLICIES])
    return tuple(name for name in named if name)


def _address(text: str | None) -> tuple[str, int]:
    address, _, port = _text(text).rpartition(":")
    if not _is_ipv4(address) or not (port.isascii() and port.isdigit()) or len(port) > len("65535"):
        raise Unusable(_NO_ADDRESS)
    number = int(port)
    if not 0 < number <= 65535:
        raise Unusable(_NO_ADDRESS)
    return address, number


def _is_ipv4(text: str) -> bool:
    return len(text) <= len("255.255.255.255") and _parses(text)


_parses = lru_cache(maxsize=4096)(is_ipv4)
"""Few addresses come again and again."""


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unusable(_NO_TIME) from error
    if at.tzinfo is None:
        raise Unusable(_NO_TIME)
    return at.timestamp()
