"""Messages as documents that programs can rely on, and Problems as people read them."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from towpath.cli.messages import document, line_of
from towpath_api.v1 import inspector_pb2 as pb


def test_every_field_is_there_and_numbers_are_numbers() -> None:
    sent = pb.Sent(version="v", at=Timestamp(seconds=1), resource_count=0)
    delivery = pb.Delivery(type_url="t", sent=sent, responses=2**40)
    shown = document(
        pb.Sidecar(stream_id=2**60, client_kind=pb.Sidecar.GRPC, deliveries=[delivery])
    )

    assert set(pb.Sidecar.DESCRIPTOR.fields_by_name) == {
        field.name for field in pb.Sidecar.DESCRIPTOR.fields if field.json_name in shown
    }
    assert (2**60, "GRPC", "", None) == (
        shown["streamId"],
        shown["clientKind"],
        shown["identity"],
        shown["connectedAt"],
    )
    (one,) = shown["deliveries"]
    assert {"version": "v", "at": "1970-01-01T00:00:01Z", "resourceCount": 0} == one["sent"]
    assert (2**40, None) == (one["responses"], one["acknowledged"])


def test_lists_may_be_empty_and_maps_are_in_order() -> None:
    answer = document(pb.ExplainResponse(sources={"b": "2", "a": "1"}))

    assert ([], {"a": "1", "b": "2"}) == (answer["reasons"], answer["sources"])
    assert ["a", "b"] == list(answer["sources"])


def test_a_problem_of_a_server_of_another_version_is_a_line_without_what_it_lacks() -> None:
    problem = pb.Problem(
        kind="Egress", namespace="curl", name="out", reason="Odd", message="a\x1b[2Jb"
    )
    line = line_of(problem)
    problem.severity, problem.code, problem.source = "grave", "odd-thing", "a.yaml:1"

    assert "Egress curl/out: Odd: a\\x1b[2Jb" == line
    assert f"grave: a.yaml:1: {line} [odd-thing]" == line_of(problem)
