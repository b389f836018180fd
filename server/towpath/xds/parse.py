"""Requests from bytes. All that a client sends is counted on its bytes, and refused there: as
objects it would be many times as large.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from envoy.config.core.v3 import base_pb2
from google.protobuf.message import DecodeError

from towpath.model.names import LONGEST_NODE_ID
from towpath.model.text import printable, shorten
from towpath.settings import StreamLimits
from towpath.wire_format import MalformedError, ManyFieldsError, field, fields, text
from towpath.xds.limits import LimitExceeded
from towpath.xds.messages import DeltaRequest, Node, ProtocolError, Request, SotwRequest

# Numbers of fields in
# https://github.com/envoyproxy/envoy/blob/main/api/envoy/service/discovery/v3/discovery.proto
_SOTW_VERSION, _SOTW_NODE, _SOTW_NAMES, _SOTW_TYPE_URL, SOTW_NONCE, _SOTW_ERROR = 1, 2, 3, 4, 5, 6
_DELTA_NODE, _DELTA_TYPE_URL, _SUBSCRIBE, _UNSUBSCRIBE, _INITIAL = 1, 2, 3, 4, 5
DELTA_NONCE, _DELTA_ERROR = 6, 7
_KEY, _VALUE = 1, 2
_ERROR_MESSAGE = 2  # of google.rpc.Status

_ID, _CLUSTER, _METADATA, _LOCALITY, _USER_AGENT, _USER_AGENT_VERSION, _BUILD_VERSION = (
    1,
    2,
    3,
    4,
    6,
    7,
    8,
)
_WORTH_KEEPING = frozenset(
    (_ID, _CLUSTER, _METADATA, _LOCALITY, _USER_AGENT, _USER_AGENT_VERSION, _BUILD_VERSION)
)
"""Of a Node, for people: Envoy also lists its hundreds of extensions."""

LARGEST_NODE = 4 << 10
"""In bytes; of a client that says more of itself, only its names are kept."""

LONGEST_ERROR = 8 << 10
"""In bytes; of a rejection's text that is longer, which may quote whole resources, the middle is
lost: its reason stands at the end."""

LONGEST_SOFTWARE = 64
"""Characters of what a client calls itself, and of its version."""

MOST_NODE_FIELDS = 10_000
MOST_ENTRY_FIELDS = 8

RESTATED = 3
"""How many times as many names as it may ask for a client may bring versions of: it states all that
it holds, and may hold what is no more."""

R = TypeVar("R", bound=Request)
Parse = Callable[[bytes, StreamLimits], R]


def _named(message: str) -> Callable[[Parse[R]], Callable[..., R]]:
    def decorate(parse: Parse[R]) -> Callable[..., R]:
        @wraps(parse)
        def parsed(data: bytes, limits: StreamLimits) -> R:
            try:
                return parse(data, limits)
            except (MalformedError, DecodeError) as error:
                raise ProtocolError(
                    f"not a {message}: {len(data)} bytes cannot be parsed"
                ) from error
            except ManyFieldsError as error:
                raise LimitExceeded("fields", str(error)) from error

        return parsed

    return decorate


@_named("DiscoveryRequest")
def parse_sotw(data: bytes, limits: StreamLimits) -> SotwRequest:
    """Raises ProtocolError for bytes that are no DiscoveryRequest, LimitExceeded for too many."""
    values: dict[int, bytes] = {}
    names = _Names(limits.max_names, limits)
    node, error = list[bytes](), list[bytes]()
    for number, value in fields(data, most=_most_fields(limits)):
        if number == _SOTW_NAMES:
            names.add(value)
        elif number == _SOTW_NODE:
            node.append(value)
        elif number == _SOTW_ERROR:
            error.append(value)
        else:
            values[number] = value
    return SotwRequest(
        type_url=text(values.get(_SOTW_TYPE_URL, b"")),
        version=text(values.get(_SOTW_VERSION, b"")),
        nonce=text(values.get(SOTW_NONCE, b"")),
        node=_node(node),
        names=frozenset(names.taken),
        error=_error(error),
    )


@_named("DeltaDiscoveryRequest")
def parse_delta(data: bytes, limits: StreamLimits) -> DeltaRequest:
    """Raises ProtocolError for bytes that are no DeltaDiscoveryRequest, LimitExceeded for too
    many.
    """
    values: dict[int, bytes] = {}
    subscribe, unsubscribe = (_Names(limits.max_names, limits) for _ in range(2))
    initial = _Names(limits.max_names * RESTATED, limits)
    versions: dict[str, str] = {}
    node, error = list[bytes](), list[bytes]()
    for number, value in fields(data, most=_most_fields(limits)):
        if number == _SUBSCRIBE:
            subscribe.add(value)
        elif number == _UNSUBSCRIBE:
            unsubscribe.add(value)
        elif number == _INITIAL:
            key, version = _entry(value)
            versions[initial.add(key)] = _short(version, limits)
        elif number == _DELTA_NODE:
            node.append(value)
        elif number == _DELTA_ERROR:
            error.append(value)
        else:
            values[number] = value
    return DeltaRequest(
        type_url=text(values.get(_DELTA_TYPE_URL, b"")),
        nonce=text(values.get(DELTA_NONCE, b"")),
        node=_node(node),
        subscribe=frozenset(subscribe.taken),
        unsubscribe=frozenset(unsubscribe.taken),
        initial_versions=versions,
        error=_error(error),
    )


def _entry(data: bytes) -> tuple[bytes, bytes]:
    """The key and the value of a map's entry."""
    if len(data) > 2 and data[0] == _KEY << 3 | 2 and (end := 2 + data[1]) < len(data) - 1:
        # The one form that there is but for long texts.
        value = data[end + 2 :]
        if data[end] == _VALUE << 3 | 2 and data[end + 1] == len(value) < 0x80 > data[1]:
            return data[2:end], value
    entry = dict(fields(data, most=MOST_ENTRY_FIELDS))
    return entry.get(_KEY, b""), entry.get(_VALUE, b"")


class _Names:
    """Names of one list of a request, *most* of them."""

    def __init__(self, most: int, limits: StreamLimits) -> None:
        self._most = most
        self._limits = limits
        self._count = 0
        self.taken: list[str] = []

    def add(self, value: bytes) -> str:
        self._count += 1
        if self._count > self._most:
            raise LimitExceeded(
                "names", f"more than {self._most:,} names in one list (--max-names)"
            )
        name = _short(value, self._limits)
        self.taken.append(name)
        return name


def _most_fields(limits: StreamLimits) -> int:
    return (2 + RESTATED) * limits.max_names + 100


def _short(value: bytes, limits: StreamLimits) -> str:
    """A name, or a version."""
    name, longest = text(value), limits.max_name_length
    if len(name) > longest:
        words = f"a name of {len(name)} characters: at most {longest} are allowed"
        raise LimitExceeded("name-length", words)
    return name


def _error(parts: list[bytes]) -> str | None:
    """The text of error_detail, fit to be shown; None if there is none."""
    if not parts:
        return None
    message = dict(fields(b"".join(parts), most=MOST_NODE_FIELDS)).get(_ERROR_MESSAGE, b"")
    if len(message) > LONGEST_ERROR:
        half = LONGEST_ERROR // 2
        message = message[:half] + " … ".encode() + message[-half:]
    return printable(message.decode(errors="replace"))


def _node(parts: list[bytes]) -> Node | None:
    """A message that comes in parts is what they are put together."""
    if not parts:
        return None
    whole = b"".join(parts)
    values = {n: v for n, v in fields(whole, most=MOST_NODE_FIELDS) if n in _WORTH_KEEPING}
    name = shorten(
        printable(values.get(_USER_AGENT, b"")[:256].decode(errors="replace")), LONGEST_SOFTWARE
    )
    if _USER_AGENT in values:
        values[_USER_AGENT] = name.encode()
    node_id = values.get(_ID, b"")
    if len(node_id) > LONGEST_NODE_ID:
        raise ProtocolError(
            f"a node id (<pod>.<namespace>) of {len(node_id)} bytes: at most {LONGEST_NODE_ID}"
        )
    if sum(map(len, values.values())) > LARGEST_NODE:
        values = {n: v for n, v in values.items() if n in (_ID, _USER_AGENT)}
    node = base_pb2.Node.FromString(b"".join(field(n, v) for n, v in sorted(values.items())))
    return Node(
        id=node.id,
        user_agent=name,
        version=_version(node),
        encoded=node.SerializeToString(deterministic=True),
    )


def _version(node: base_pb2.Node) -> str:
    build = node.user_agent_build_version.version
    version = f"{build.major_number}.{build.minor_number}.{build.patch}"
    number = node.user_agent_version if version == "0.0.0" else version
    return shorten(printable(number), LONGEST_SOFTWARE)
