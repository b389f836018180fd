"""Messages of the Inspector for programs, with every field, and Problems for people."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from towpath.model.names import ObjectRef
from towpath.model.problem import problem_line
from towpath_api.v1 import inspector_pb2 as pb


def document(message: Message) -> dict[str, Any]:
    """The message as JSON's values, by protobuf's JSON names: lists may be empty, numbers are
    numbers, a message that is not set is None, a Timestamp is RFC 3339.
    """
    return {
        field.json_name: _field(getattr(message, field.name), field, message)
        for field in message.DESCRIPTOR.fields
    }


def line_of(problem: pb.Problem) -> str:
    """A Problem as people read it, in the one form that it has everywhere."""
    ref = ObjectRef(problem.kind, problem.namespace, problem.name)
    return problem_line(ref, problem)


def _field(value: Any, field: Any, of: Message) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(sorted(value.items()))
    if field.is_repeated:
        return [_value(one, field) for one in value]
    if field.message_type is not None and not of.HasField(field.name):
        return None
    return _value(value, field)


def _value(value: Any, field: Any) -> Any:
    if field.enum_type is not None:
        number = field.enum_type.values_by_number.get(value)
        return value if number is None else number.name
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    return document(value) if isinstance(value, Message) else value
