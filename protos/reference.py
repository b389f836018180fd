"""Write a reference of the protos in Markdown, from their comments: `reference.py OUT`."""

from __future__ import annotations

import importlib.resources
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
# Where a file's descriptor keeps its messages, enums and services, and those keep their members:
# https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM, _VALUE, _METHOD = 2, 3, 4, 2, 2

Location = tuple[int, ...]


def reference(protos: Sequence[Path]) -> str:
    """One section for each service, message and enum."""
    lines: list[str] = ["# Protos"]
    for file in _descriptors(protos):
        lines += ["", f"## {file.name}", *_File(file).lines()]
    return "\n".join(lines) + "\n"


class _File:
    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments: dict[Location, str] = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        for index, service in enumerate(self._file.service):
            at = (_SERVICE, index)
            yield from ("", f"### service {service.name}", "", self._comment(at), "")
            yield from ("| method | request | response | |", "|---|---|---|---|")
            for number, method in enumerate(service.method):
                request = _short(method.input_type)
                response = ("stream of " if method.server_streaming else "") + _short(
                    method.output_type
                )
                comment = self._comment((*at, _METHOD, number))
                yield f"| `{method.name}` | `{request}` | {response} | {comment} |"
        for index, message in enumerate(self._file.message_type):
            yield from self._message(message, (_MESSAGE, index), "")
        for index, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (_ENUM, index), "")

    def _message(self, message: DescriptorProto, at: Location, within: str) -> Iterator[str]:
        name = f"{within}{message.name}"
        yield from ("", f"### {name}", "", self._comment(at))
        if message.field:
            yield from ("", "| field | type | |", "|---|---|---|")
        for index, field in enumerate(message.field):
            comment = self._comment((*at, _FIELD, index))
            yield f"| `{field.name}` | {_type(field)} | {comment} |"
        for index, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                yield from self._message(nested, (*at, _NESTED, index), f"{name}.")
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*at, _NESTED_ENUM, index), f"{name}.")

    def _enum(self, enum: EnumDescriptorProto, at: Location, within: str) -> Iterator[str]:
        yield from ("", f"### enum {within}{enum.name}", "", self._comment(at), "")
        yield from ("| value | |", "|---|---|")
        for index, value in enumerate(enum.value):
            yield f"| `{value.name}` | {self._comment((*at, _VALUE, index))} |"

    def _comment(self, at: Location) -> str:
        return self._comments.get(at, "").replace("|", "\\|")


def _type(field: FieldDescriptorProto) -> str:
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.type_name:
        name = _short(field.type_name)
    return f"list of {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name


def _short(name: str) -> str:
    return name.removeprefix(".").removeprefix("towpath.v1.")


def _descriptors(protos: Sequence[Path]) -> Sequence[FileDescriptorProto]:
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    names = [str(path.relative_to(ROOT)) for path in protos]
    with tempfile.NamedTemporaryFile() as out:
        options = ("--include_source_info", f"--descriptor_set_out={out.name}")
        if protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", *options, *names]):
            sys.exit("protoc failed")
        return FileDescriptorSet.FromString(Path(out.name).read_bytes()).file


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(sorted(ROOT.rglob("*.proto"))))
