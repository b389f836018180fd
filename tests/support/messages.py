"""Any message of a proto, generated from its description, and JSON that holds other JSON."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct
from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
NUMBERS = st.one_of(
    st.integers(-(2**40), 2**40).map(float),
    st.floats(allow_nan=False, allow_infinity=False).filter(bool),
)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: NUMBERS,
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
}
_ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), TEXTS, NUMBERS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def messages(draw: st.DrawFn, of: type[Message]) -> Any:
    """A message of that type, any of whose fields may be unset, empty or full."""
    message = of()
    _draw_into(message, draw)
    return message


def contains(whole: object, part: object) -> bool:
    """True if *whole* has everything that *part* has; keys may be more, all else is equal."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and contains(whole[key], part[key]) for key in part)
    return whole == part


def _draw_into(message: Message, draw: st.DrawFn) -> None:
    if isinstance(message, Struct):
        ParseDict(draw(st.dictionaries(TEXTS, _ANY_JSON, max_size=2)), message)
        return
    if isinstance(message, ListValue):
        message.extend(draw(st.lists(_ANY_JSON, max_size=2)))
        return
    for field in message.DESCRIPTOR.fields:
        if draw(st.booleans()):
            _draw_field(message, field, draw)


def _draw_field(message: Message, field: Any, draw: st.DrawFn) -> None:
    content = getattr(message, field.name)
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        keys, values = (inner.fields_by_name[name] for name in ("key", "value"))
        for key in draw(st.sets(_SCALARS[keys.cpp_type], max_size=2)):
            if values.message_type is None:
                content[key] = draw(_SCALARS[values.cpp_type])
            else:
                _draw_into(content[key], draw)
    elif field.is_repeated:
        for _ in range(draw(st.integers(0, 2))):
            if inner is None:
                content.append(draw(_SCALARS[field.cpp_type]))
            else:
                _draw_into(content.add(), draw)
    elif inner is None:
        setattr(message, field.name, draw(_SCALARS[field.cpp_type]))
    else:
        content.SetInParent()
        _draw_into(content, draw)
