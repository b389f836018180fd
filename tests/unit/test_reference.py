"""`make docs`: the reference of the protos."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor

import reference
from towpath_api.v1 import debug_pb2, inspector_pb2, sidecar_pb2


def test_every_service_message_and_field_is_in_the_reference_with_its_comment() -> None:
    page = reference.reference(sorted(reference.ROOT.rglob("*.proto")))

    for file in (debug_pb2.DESCRIPTOR, inspector_pb2.DESCRIPTOR, sidecar_pb2.DESCRIPTOR):
        for name in _names(file):
            assert name in page
    assert "| `node_id` | string | Only the streams of this node id, `<pod>.<namespace>`." in page
    assert "|  |\n" not in page, "a method, a field or a value has no comment"


def _names(file: FileDescriptor) -> list[str]:
    headings = [f"### {name}\n" for name in file.message_types_by_name]
    return headings + [f"### service {name}\n" for name in file.services_by_name]
