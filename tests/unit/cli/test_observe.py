"""`towpath observe`, `audit` and `suggest` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from towpath.cli import main

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: curl, labels: {openservicemesh.io/monitored-by: osm}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: curl, namespace: curl}
---
apiVersion: v1
kind: Pod
metadata: {name: curl-0, namespace: curl, uid: u2, labels: {app: curl}}
spec:
  serviceAccountName: curl
  containers: [{name: curl, image: curl}]
status: {podIP: 10.0.0.8, phase: Running}
---
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec:
  traffic: {enableEgress: true}
  featureFlags: {enableEgressPolicy: true}
---
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: api, namespace: curl}
spec:
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  hosts: [api.example.org]
  ports: [{number: 443, protocol: https}]
"""
LINE = {
    "log": "connection",
    "start_time": "2026-11-29T10:00:00.250Z",
    "filter_chain_name": "egress-https.443|api.example.org",
    "downstream_remote_address": "10.0.0.8:40112",
    "downstream_local_address": "192.0.2.7:443",
    "requested_server_name": "api.example.org",
    "upstream_cluster": "api.example.org:443",
}
DENIED = {
    **LINE,
    "start_time": "2026-11-29T11:00:00Z",
    "filter_chain_name": None,
    "requested_server_name": "evil\x1b[2J<b>.example.org",
    "upstream_cluster": None,
    "response_flags": "NR",
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    lines = ["[info] starting", *map(json.dumps, (LINE, LINE, DENIED)), "", '{"level": "info"}']
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh/mesh.yaml").write_text(MESH)
    return tmp_path / "mesh"


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], input=stdin, catch_exceptions=False)


def observe(*arguments: object, stdin: bytes | None = None) -> Result:
    return run("observe", *arguments, stdin=stdin)


def test_a_log_is_a_table_with_the_policies_that_the_mesh_names(log: Path, mesh: Path) -> None:
    done = observe("--access-log", log, "--manifests", mesh)
    heading, *rows = [line.split() for line in done.stdout.splitlines()]

    assert 0 == done.exit_code
    assert "FROM" == heading[0]
    at, later = "2026-11-29T10:00:00Z", "2026-11-29T11:00:00Z"
    assert [
        f"curl/curl api.example.org 443 https - allow curl/api 2 {at} {at}",
        f"curl/curl evil\\x1b[2j<b>.example.org 443 https - deny - 1 {later} {later}",
    ] == [" ".join(row) for row in rows]


def test_flows_have_the_forms_of_every_listing(log: Path, mesh: Path) -> None:
    words = ("--access-log", log, "--manifests", mesh)
    names = observe(*words, "-o", "name")
    as_json, as_yaml = (observe(*words, "-o", output) for output in ("json", "yaml"))
    judged = run("audit", *words, "-o", "name")

    assert "api.example.org:443" == names.stdout.splitlines()[0]
    assert json.loads(as_json.stdout) == yaml.safe_load(as_yaml.stdout)
    assert (0, "") == (judged.exit_code, judged.stdout)


def test_only_a_table_and_json_go_on() -> None:
    done = observe("--server", "127.0.0.1:1", "--watch", "-o", "yaml")

    assert 2 == done.exit_code
    assert "--watch: -o is one of table, json, not yaml" in done.stderr


def test_lines_that_are_no_log_are_counted_and_named(log: Path) -> None:
    done = observe("--access-log", log)

    assert [
        "1 line is left out: not a JSON object (the first is line 1)",
        "1 line is left out: not a line of a sidecar's access log (the first is line 6)",
    ] == done.stderr.splitlines()


def test_denied_shows_nothing_else(log: Path, mesh: Path) -> None:
    done = observe("--access-log", log, "--manifests", mesh, "--denied", "-o", "json")

    assert ["deny"] == [flow["verdict"] for flow in json.loads(done.stdout)["flows"]]


def test_since_leaves_out_what_was_before(log: Path) -> None:
    since = ("--since", "2026-11-29T10:30:00Z")
    done = observe("--access-log", log, *since, "-o", "json")

    assert ["deny"] == [flow["verdict"] for flow in json.loads(done.stdout)["flows"]]


@pytest.mark.parametrize(("source", "count"), [("curl/curl", 2), ("curl/other", 0)])
def test_from_shows_one_service_account(log: Path, mesh: Path, source: str, count: int) -> None:
    done = observe("--access-log", log, "--manifests", mesh, "--from", source, "-o", "json")

    assert count == len(json.loads(done.stdout)["flows"])


def test_standard_input_is_read_and_the_account_of_one_sidecar_is_said(log: Path) -> None:
    shown = ("--access-log", "-", "--account", "shop/cart", "-o", "json")
    done = observe(*shown, stdin=log.read_bytes())

    assert {"shop/cart"} == {flow["serviceAccount"] for flow in json.loads(done.stdout)["flows"]}


def test_a_line_without_an_end_is_left_out_and_the_rest_is_read(log: Path) -> None:
    long = b"x" * (3 << 20)
    done = observe("--access-log", "-", "-o", "json", stdin=long + b"\n" + log.read_bytes())

    assert {"longer than 1 MiB": 1} | {
        "not a JSON object": 1,
        "not a line of a sidecar's access log": 1,
    } == json.loads(done.stdout)["unusable"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--access-log", "/nowhere"), "--access-log /nowhere: No such file"),
        (("--access-log", "-", "--since", "soon"), "90s, 15m or 2h"),
        (("--access-log", "-", "--since", "9" * 30 + "h"), "90s, 15m or 2h"),
        (("--access-log", "-", "--from", "curl"), "<namespace>/<service account>"),
        (("--access-log", "-", "--watch"), "--watch: not with --access-log"),
        (("--access-log", "-", "--server", "a:1"), "--server: not with --access-log"),
        (("--paths",), "--paths: not with no --access-log: a server keeps no paths"),
    ],
)
def test_bad_usage_says_what_is_allowed(arguments: tuple[str, ...], text: str) -> None:
    done = observe(*arguments, stdin=b"")

    assert 2 == done.exit_code
    assert text in done.stderr


PASSED = {
    **LINE,
    "filter_chain_name": "outbound-egress-filter-chain",
    "requested_server_name": "www.example.org",
    "upstream_cluster": "passthrough-outbound",
}


def written(*lines: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def audit(mesh: Path, *arguments: object, stdin: bytes) -> Result:
    words = ("--access-log", "-", "--manifests", mesh, *arguments)
    return run("audit", *words, stdin=stdin)


def test_audit_lists_what_passthrough_alone_lets_out(mesh: Path) -> None:
    done = audit(mesh, stdin=written(LINE, PASSED, PASSED, DENIED))
    _, row, summary = done.stdout.splitlines()

    assert 1 == done.exit_code
    at = "2026-11-29T10:00:00Z"
    assert f"curl/curl www.example.org 443 https - 2 {at} {at} no policy names server name" in (
        " ".join(row.split())
    )
    assert (
        "1 service account would lose 1 flow (2 reports); 1 flow would stay; 1 flow refused already"
    ) == summary


def test_audit_of_what_policies_allow_ends_well(mesh: Path) -> None:
    assert 0 == audit(mesh, stdin=written(LINE, DENIED)).exit_code


def test_audit_does_not_end_well_if_somebody_is_not_known(mesh: Path) -> None:
    unknown = {**LINE, "downstream_remote_address": "10.9.9.9:1"}
    done = audit(mesh, stdin=written(unknown))

    assert 1 == done.exit_code
    assert "1 flow of pods that are not known: give --account" in done.stdout
    assert 0 == audit(mesh, "--account", "curl/curl", stdin=written(unknown)).exit_code


def test_audit_says_that_policies_are_off(mesh: Path) -> None:
    text = (mesh / "mesh.yaml").read_text()
    (mesh / "mesh.yaml").write_text(text.replace("{enableEgressPolicy: true}", "{}"))
    done = audit(mesh, stdin=written(LINE))

    assert 1 == done.exit_code
    assert "egress policies are off" in done.stderr


def test_audit_as_json_has_every_flow(mesh: Path) -> None:
    done = audit(mesh, "-o", "json", stdin=written(LINE, PASSED))
    flows = json.loads(done.stdout)["flows"]

    assert [("api.example.org", 1, 0), ("www.example.org", 0, 1)] == [
        (flow["host"], flow["stay"], flow["refused"]) for flow in flows
    ]


def test_audit_needs_a_folder_or_a_server() -> None:
    done = run("audit", "--access-log", "-", stdin=b"")

    assert 2 == done.exit_code
    assert "give the folder to read, or --server" in done.stderr


def test_audit_by_a_server_without_an_answer_ends_with_2() -> None:
    words = ("--access-log", "-", "--server", "127.0.0.1:1")
    done = run("audit", *words, stdin=written(LINE))

    assert 2 == done.exit_code


def suggest(mesh: Path, *arguments: object, stdin: bytes) -> Result:
    words = ("--access-log", "-", "--manifests", mesh, *arguments)
    return run("suggest", *words, stdin=stdin)


REQUEST = {
    **PASSED,
    "log": "request",
    "filter_chain_name": "egress-http.80",
    "downstream_local_address": "192.0.2.7:80",
    "authority": "www.example.org",
    "method": "GET",
    "path": "/a.b?c=d",
}
BYTES = {**PASSED, "requested_server_name": None, "downstream_local_address": "192.0.2.7:5432"}


@pytest.mark.parametrize("more", [(), ("--paths",), ("--paths", "--denied"), ("--wildcards",)])
def test_with_what_is_suggested_nothing_would_be_refused(mesh: Path, more: tuple[str, ...]) -> None:
    log = written(LINE, PASSED, REQUEST, BYTES, DENIED)
    before, done = audit(mesh, stdin=log), suggest(mesh, *more, stdin=log)
    (mesh / "suggested.yaml").write_text(done.stdout)
    after = audit(mesh, *(word for word in more if word == "--paths"), stdin=log)

    assert (1, 0) == (before.exit_code, after.exit_code), after.stdout
    assert ("\\\\.b" in done.stdout) is ("--paths" in more)


def test_nothing_is_suggested_where_nothing_would_be_refused(mesh: Path) -> None:
    done = suggest(mesh, stdin=written(LINE, DENIED))

    assert (0, "") == (done.exit_code, done.stdout)


def test_what_was_refused_is_suggested_only_if_that_is_asked_for(mesh: Path) -> None:
    denied = {**DENIED, "requested_server_name": "denied.example.org"}

    assert "" == suggest(mesh, stdin=written(denied)).stdout
    assert '"denied.example.org"' in suggest(mesh, "--denied", stdin=written(denied)).stdout


def test_what_cannot_be_suggested_is_said(mesh: Path) -> None:
    own = {**BYTES, "downstream_local_address": "192.0.2.7:15001"}
    done = suggest(mesh, stdin=written(own))

    assert 1 == done.exit_code
    assert "curl/curl to 192.0.2.7:15001 is not allowed: port 15001" in done.stderr
