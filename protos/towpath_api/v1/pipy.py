"""SidecarConfig as the JSON that osm-edge's Pipy scripts read from `config.json`, and back.

Keys, their order and what is null or left out are those of osm-edge. The proto says the keys and
the order; what it cannot say stands in the tables below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from towpath_api.v1.sidecar_pb2 import SidecarConfig

Field: TypeAlias = Any
"""A FieldDescriptor; those of protobuf's implementations have no type in common."""

_PACKAGE = "towpath.v1."

_INNER = frozenset(
    {"StringList", "WeightedEndpoints", "OutboundMatchList", "DestinationRanges", "GatewayWeights"}
)
"""Messages that stand for their only field: a protobuf map cannot hold lists or maps."""

_NULL_IF_EMPTY = frozenset({"DestinationSecurity", "SourceSecurity"})
"""Messages in a map of which an empty one is null."""

_NEVER_NULL = frozenset(
    {"SidecarConfig.allowed_endpoints", "ClusterConfig.endpoints", "EgressGateway.endpoints"}
)
"""Maps that are `{}` if they are empty."""

_ALL_LEFT_OUT = frozenset(
    {
        "SidecarProbes",
        "LocalDnsProxy",
        "UpstreamDnsServers",
        "DestinationSecurity",
        "TcpRateLimit",
        "HttpRateLimit",
        "ClusterConnectionSettings",
        "TcpConnectionSettings",
        "HttpConnectionSettings",
    }
)
"""Messages of which every field is left out if it is empty or not set."""

_LEFT_OUT = frozenset(
    {
        "SidecarConfig.chains",
        "InboundMatch.allowed_endpoints",
        "SidecarConfig.dns_resolve_db",
        "SidecarSpec.local_dns_proxy",
        "SidecarCertificate.osm_issued",
        "SidecarCertificate.common_name",
        "SidecarCertificate.subject_alt_names",
        "TcpLocalRateLimit.burst",
        "HttpLocalRateLimit.burst",
        "HttpLocalRateLimit.response_status_code",
        "HttpLocalRateLimit.response_headers_to_add",
        "ClusterConfig.connection_settings",
        "ClusterConfig.retry_policy",
        "ClusterConfig.source_cert",
        "ClusterEndpoint.key",
        "ClusterEndpoint.path",
        "HttpCircuitBreaking.slow_time_threshold",
        "HttpCircuitBreaking.slow_amount_threshold",
        "HttpCircuitBreaking.slow_ratio_threshold",
        "HttpCircuitBreaking.error_amount_threshold",
        "HttpCircuitBreaking.error_ratio_threshold",
        "HttpCircuitBreaking.degraded_status_code",
        "HttpCircuitBreaking.degraded_response_content",
    }
)
"""Other fields that are left out if they are empty or not set."""

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
"""What osm-edge escapes although JSON does not ask for it."""


def to_json(config: SidecarConfig, *, version: str | None = None) -> str:
    """The content of `config.json`; equal messages give equal text.

    *version* is written beside it, for people. ValueError if a number is not finite.
    """
    content = {"Ts": None, "Version": version, **_object(config)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    return text + "\n"


def from_json(text: str | bytes, *, name: str = "") -> SidecarConfig:
    """The message of which `to_json` makes *text*; *name* is its node id, which JSON lacks.

    ValueError, with the path, if a key is not known or a value is of the wrong type.
    """
    content = json.loads(text)
    config = SidecarConfig()
    if not isinstance(content, dict):
        raise _unexpected("", content, "a mapping")
    _fill(config, {k: v for k, v in content.items() if k not in ("Ts", "Version")}, "")
    config.name = name
    return config


def version_of(text: str | bytes) -> str | None:
    """The version that `to_json` wrote into *text*; None if it wrote none."""
    content = json.loads(text)
    version = content.get("Version") if isinstance(content, dict) else None
    return version if isinstance(version, str) else None


def is_closed(config: SidecarConfig) -> bool:
    """True if *config* lets nothing through in either direction."""
    opens = config.inbound.traffic_matches or config.outbound.traffic_matches
    return not (opens or config.forward.ByteSize() or config.spec.traffic.enable_egress)


# Out.


def _object(message: Message) -> Any:
    descriptor = message.DESCRIPTOR
    if not descriptor.full_name.startswith(_PACKAGE):
        return _whole(MessageToDict(message))
    if descriptor.name in _INNER:
        (field,) = descriptor.fields
        return _field(message, field)
    return {
        field.json_name: _field(message, field)
        for field in descriptor.fields
        if _in_json(field) and not (_may_be_left_out(field) and _is_empty(message, field))
    }


def _field(message: Message, field: Field) -> Any:
    value = getattr(message, field.name)
    if _is_empty(message, field) and not _is_never_null(field):
        return None
    if _is_map(field):
        inner = field.message_type.fields_by_name["value"]
        return {str(key): _value(inner, value[key]) for key in sorted(value, key=str)}
    if field.is_repeated:
        return [_value(field, item) for item in value]
    return _value(field, value)


def _value(field: Field, value: Any) -> Any:
    if field.message_type is None:
        return _whole(value)
    if field.message_type.name in _NULL_IF_EMPTY and not value.ByteSize():
        return None
    return _object(value)


def _whole(value: Any) -> Any:
    """Numbers without a fraction, as osm-edge writes them: 5, not 5.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


# In.


def _fill(message: Message, content: object, path: str) -> None:
    descriptor = message.DESCRIPTOR
    if not descriptor.full_name.startswith(_PACKAGE):
        try:
            ParseDict(cast("dict[str, Any]", content), message)
        except ParseError as error:
            raise ValueError(f"{path}: {error}") from error
        return
    if descriptor.name in _INNER:
        (field,) = descriptor.fields
        _take(message, field, content, path)
        return
    if not isinstance(content, dict):
        raise _unexpected(path, content, "a mapping")
    fields = {field.json_name: field for field in descriptor.fields if _in_json(field)}
    for key, value in content.items():
        at = f"{path}.{key}" if path else key
        if key not in fields:
            raise ValueError(f"{at}: not a known key; known are {', '.join(fields)}")
        if value is not None:
            _take(message, fields[key], value, at)


def _take(message: Message, field: Field, value: object, path: str) -> None:
    content = getattr(message, field.name)
    if _is_map(field):
        _take_map(content, field, value, path)
    elif field.is_repeated:
        if not isinstance(value, list):
            raise _unexpected(path, value, "a list")
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            if field.message_type is None:
                _set(content.append, item, at)
            else:
                _fill(content.add(), item, at)
    elif field.message_type is None:
        _set(partial(setattr, message, field.name), value, path)
    else:
        content.SetInParent()
        _fill(content, value, path)


def _take_map(entries: Any, field: Field, value: object, path: str) -> None:
    if not isinstance(value, dict):
        raise _unexpected(path, value, "a mapping")
    key_field = field.message_type.fields_by_name["key"]
    value_field = field.message_type.fields_by_name["value"]
    for text, item in value.items():
        at = f"{path}.{text}"
        key: object = text
        if key_field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            if not text.isascii() or not text.isdecimal():
                raise ValueError(f"{at}: the key must be a number")
            key = int(text)
        if value_field.message_type is None:
            _set(partial(entries.__setitem__, key), item, at)
        else:
            inner = entries[key]
            if item is not None or value_field.message_type.name not in _NULL_IF_EMPTY:
                _fill(inner, item, at)


def _set(setter: Callable[[Any], None], value: object, path: str) -> None:
    try:
        setter(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _unexpected(path: str, value: object, expected: str) -> ValueError:
    where = f"{path}: " if path else ""
    return ValueError(f"{where}{expected} is expected, not {json.dumps(value)[:60]}")


# What the tables say.


def _in_json(field: Field) -> bool:
    return _place(field) != "SidecarConfig.name"


def _may_be_left_out(field: Field) -> bool:
    return _owner(field).name in _ALL_LEFT_OUT or _place(field) in _LEFT_OUT


def _is_never_null(field: Field) -> bool:
    return _owner(field).name in _INNER or _place(field) in _NEVER_NULL


def _is_empty(message: Message, field: Field) -> bool:
    """Not set, or nothing in it; a plain number or text is so only where it can be left out."""
    if field.is_repeated:
        return len(getattr(message, field.name)) == 0
    if field.has_presence:
        return not message.HasField(field.name)
    return _may_be_left_out(field) and not getattr(message, field.name)


def _is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _owner(field: Field) -> Any:
    return field.containing_type


def _place(field: Field) -> str:
    return f"{_owner(field).name}.{field.name}"
