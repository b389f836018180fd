"""Lines of a sidecar's access log, as Envoy writes them, and as an attacker might."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.encode.envoy.access_log import connection_log, refusal_log, request_log
from towpath.model.names import Account, Protocol
from towpath.observe.access_log import _DECODER, AccessLog, LogRecord, Unusable
from towpath.observe.flow import LONGEST_TEXT, Flow, Report, Verdict

CURL, WEB = Account("curl", "curl"), Account("shop", "web")
POD = "10.0.0.8"
CONNECTION = {
    "log": "connection",
    "start_time": "2026-11-29T10:00:00.250Z",
    "response_flags": "-",
    "filter_chain_name": "outbound-egress-filter-chain",
    "downstream_remote_address": f"{POD}:40112",
    "downstream_local_address": "192.0.2.7:443",
    "requested_server_name": None,
    "upstream_cluster": "passthrough-outbound",
    "bytes_sent": 12,
}
REQUEST = {
    **CONNECTION,
    "log": "request",
    "filter_chain_name": "egress-http.80",
    "downstream_local_address": "192.0.2.7:80",
    "upstream_cluster": "httpbin.org:80",
    "authority": "HTTPBIN.org:80",
    "method": "GET",
    "path": "/get?token=secret",
    "route_name": "curl/a,curl/b",
}


REFUSAL = {
    "log": "refusal",
    "start_time": "2026-11-29T10:00:00.250Z",
    "filter_chain_name": "inbound-mesh.8080",
    "downstream_remote_address": f"{POD}:40112",
    "downstream_local_address": "10.0.0.7:8080",
    "peer": None,
    "method": "GET",
    "authority": "web.shop",
    "path": "/get?token=secret",
    "enforced": "allowed",
}


def report(line: dict[str, Any], *, paths: bool = False, **fields: Any) -> Report | None:
    log = AccessLog(account_of={POD: CURL}.get, paths=paths)
    return log.report(json.dumps({**line, **fields}).encode())


def flow(line: dict[str, Any], **fields: Any) -> Flow:
    result = report(line, **fields)
    assert result is not None
    return result.flow


def test_every_field_that_is_read_is_written_by_the_sidecar() -> None:
    written: set[str] = set()
    for log in (connection_log(), request_log(), refusal_log()):
        sink = log.typed_config.value.decode(errors="replace")
        written |= {name for name in LogRecord.__struct_fields__ if name in sink}

    assert set(LogRecord.__struct_fields__) == written


def test_bytes_that_pass_through_are_a_flow_to_their_address() -> None:
    expected = Flow(
        account=CURL,
        pod_address="",
        host="",
        address="192.0.2.7",
        port=443,
        protocol=Protocol.TCP,
        verdict=Verdict.ALLOW,
        passthrough=True,
    )

    assert Report(1795946400.25, expected, "192.0.2.7") == report(CONNECTION)


def test_tls_is_a_flow_to_its_server_name_whatever_the_address() -> None:
    one = flow(CONNECTION, requested_server_name="Api.Example.org")
    other = flow(
        CONNECTION,
        requested_server_name="api.example.org",
        downstream_local_address="192.0.2.8:443",
    )

    assert one == other
    assert (one.host, one.address, one.protocol) == ("api.example.org", "", Protocol.HTTPS)


@pytest.mark.parametrize(
    "fields",
    [
        {"filter_chain_name": None, "response_flags": "NR"},
        {"filter_chain_name": "-", "response_flags": "NR"},
        {"filter_chain_name": "egress-refused.443|a.example.org", "response_flags": "-"},
        {"filter_chain_name": "self-loop-guard"},
    ],
)
def test_a_connection_that_no_chain_takes_is_denied(fields: dict[str, str | None]) -> None:
    denied = flow(CONNECTION, upstream_cluster=None, **fields)

    assert (Verdict.DENY, False) == (denied.verdict, denied.passthrough)


@pytest.mark.parametrize(
    ("fields", "verdict", "policies", "passthrough"),
    [
        ({}, Verdict.ALLOW, ("curl/a", "curl/b"), False),
        ({"route_name": "refused", "upstream_cluster": None}, Verdict.DENY, (), False),
        ({"route_name": None, "response_flags": "NR"}, Verdict.DENY, (), False),
        (
            {"route_name": None, "upstream_cluster": "passthrough-outbound"},
            Verdict.ALLOW,
            (),
            True,
        ),
        ({"authority": None, "route_name": None, "response_flags": "DPE"}, Verdict.DENY, (), False),
    ],
)
def test_a_request_is_judged_by_its_route(
    fields: dict[str, str | None],
    verdict: Verdict,
    policies: tuple[str, ...],
    passthrough: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    judged = flow(REQUEST, **fields)

    assert (verdict, policies, passthrough) == (
        judged.verdict,
        judged.policies,
        judged.passthrough,
    )


def test_no_path_is_kept_unless_it_is_asked_for_and_never_a_query() -> None:
    assert "" == flow(REQUEST).path
    assert "/get" == flow(REQUEST, paths=True).path


def test_a_request_is_a_flow_to_the_bare_host() -> None:
    assert "httpbin.org" == flow(REQUEST).host
    assert "httpbin.org:8080" == flow(REQUEST, authority="httpbin.org:8080").host


@pytest.mark.parametrize(
    "chain",
    [
        "outbound-mesh.shop/cart|80",
        "outbound-refused.80",
        "inbound-mesh.8080",
        "inbound-mesh.8080@10.0.0.9",
        "inbound-plain.8080",
        "inbound-probes.8080",
    ],
)
def test_what_stays_in_the_mesh_is_no_flow(chain: str) -> None:
    assert report(CONNECTION, filter_chain_name=chain) is None


def test_what_is_dialled_in_the_mesh_is_no_flow_even_without_a_chain() -> None:
    log = AccessLog(inside=lambda address, port: (address, port) == ("10.96.0.7", 80))
    line = {**CONNECTION, "filter_chain_name": None, "downstream_local_address": "10.96.0.7:80"}

    assert log.report(json.dumps(line).encode()) is None


def test_a_connection_whose_requests_are_logged_is_not_counted_twice() -> None:
    assert report(CONNECTION, filter_chain_name="egress-http.80") is None


def test_a_pod_that_is_not_known_is_named_by_its_address_or_is_whose_it_is_said_to_be() -> None:
    line = json.dumps({**CONNECTION, "downstream_remote_address": "10.0.0.99:1"}).encode()
    unknown, told = AccessLog().report(line), AccessLog(account=CURL).report(line)

    assert unknown is not None
    assert told is not None
    assert ("10.0.0.99", "curl/curl") == (unknown.flow.source, told.flow.source)


@pytest.mark.parametrize(
    "prefix",
    [b"[pod/curl-0/envoy] ", b"2026-11-29T10:00:00.25Z stdout F ", b"envoy | "],
)
def test_what_kubectl_or_a_runtime_writes_before_the_object_is_skipped(prefix: bytes) -> None:
    line = json.dumps(CONNECTION).encode()

    assert AccessLog().report(line) == AccessLog().report(prefix + line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[2026-11-29 10:00:00.000][1][info][main] starting", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"a":' * 100_000, "JSON"),
        (b'{"log": "connection", "start', "JSON"),
        (b'{"log": "connection", "start_time": "\xff"}', "JSON"),
        (b'{"level": "info"}', "access log"),
        (b'{"log": 7, "start_time": "2026-11-29T10:00:00Z"}', "access log"),
        (b'{"log": "audit", "start_time": "2026-11-29T10:00:00Z"}', "access log"),
    ],
)
def test_junk_is_named(line: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        AccessLog().report(line)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"start_time": "yesterday"}, "start_time"),
        ({"start_time": "2026-11-29T10:00:00"}, "start_time"),
        ({"downstream_local_address": "a.example.org:443"}, "downstream_local_address"),
        ({"downstream_local_address": "192.0.2.7:0"}, "downstream_local_address"),
        ({"downstream_local_address": "192.0.2.7:65536"}, "downstream_local_address"),
        ({"downstream_local_address": "192.0.2.7:" + "9" * 9999}, "downstream_local_address"),
        ({"downstream_local_address": "[2001:db8::1]:443"}, "downstream_local_address"),
        ({"downstream_local_address": None}, "downstream_local_address"),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        report(CONNECTION, **fields)


def test_long_texts_are_cut() -> None:
    long = flow(
        REQUEST,
        authority="a" * 100_000,
        method="M" * 100_000,
        route_name=",".join(f"curl/{n}" for n in range(10_000)),
    )

    assert (LONGEST_TEXT, LONGEST_TEXT) == (len(long.host), len(long.method))
    assert len(long.policies) < 100


@settings(max_examples=examples(200))
@given(
    st.binary()
    | st.dictionaries(
        st.sampled_from(LogRecord.__struct_fields__),
        st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(("NR", "request")),
    ).map(lambda fields: json.dumps({**REQUEST, **fields}).encode())
)
def test_no_line_does_anything_else_than_being_read_or_refused(line: bytes) -> None:
    log = AccessLog(paths=True)
    try:
        result = log.report(line)
    except Unusable:
        return
    assert result is None or result.flow.attempt(result.address).port > 0


def test_the_decoder_reads_the_fields_that_the_sidecar_writes() -> None:
    assert "curl/a,curl/b" == _DECODER.decode(json.dumps(REQUEST)).route_name


def _refusal(*, paths: bool = False, **fields: Any) -> Flow | None:
    accounts = {POD: CURL, "10.0.0.7": WEB}
    log = AccessLog(account_of=accounts.get, refusals=True, paths=paths)
    result = log.report(json.dumps({**REFUSAL, **fields}).encode())
    return result.flow if result else None


@pytest.mark.parametrize(
    ("enforced", "verdict"), [("allowed", Verdict.WOULD_DENY), ("denied", Verdict.DENY)]
)
def test_a_refusal_inside_the_mesh_names_who_called_and_who_was_called(
    enforced: str, verdict: Verdict
) -> None:
    result = _refusal(enforced=enforced)

    expected = Flow(CURL, "", "shop/web", "", 8080, Protocol.HTTP, verdict, method="GET")
    assert expected == result


def test_pods_that_are_not_known_are_named_by_their_addresses() -> None:
    result = _refusal(
        downstream_remote_address="10.9.9.9:1", downstream_local_address="10.0.0.9:8080"
    )

    assert result is not None
    assert ("10.9.9.9", "10.0.0.9") == (result.source, result.target)


def test_refusals_inside_are_told_apart_from_what_leaves_the_mesh() -> None:
    assert report(REFUSAL) is None
    line = json.dumps(CONNECTION).encode()
    assert AccessLog(refusals=True).report(line) is None
    assert (kept := _refusal(paths=True)) is not None
    assert "/get" == kept.path
