"""`towpath bootstrap --client grpc`: what docs/grpc.md shows, and every language's client takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from towpath.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "grpc.md"


def _printed(*more: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["bootstrap", "--client", "grpc", *more])
    assert 0 == result.exit_code, result.output
    printed: dict[str, Any] = json.loads(result.output)
    return printed


def test_the_page_shows_what_the_command_prints() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert shown is not None
    assert _printed() == json.loads(shown[1])


def test_a_client_is_told_to_give_up_what_it_is_told_not_to_have() -> None:
    (server,) = _printed("--server", "towpath:1")["xds_servers"]

    assert "fail_on_data_errors" in server["server_features"]
    assert "towpath:1" == server["server_uri"]


def test_the_node_has_all_that_the_strictest_client_asks_for() -> None:
    node = _printed("--pod", "curl.shop")["node"]

    assert "curl.shop" == node["id"]
    assert isinstance(node["cluster"], str)
    assert isinstance(node["locality"], dict)


def test_plaintext_needs_no_files() -> None:
    (server,) = _printed("--plaintext")["xds_servers"]

    assert [{"type": "insecure"}] == server["channel_creds"]


def test_grpc_reads_no_yaml() -> None:
    result = CliRunner().invoke(main, ["bootstrap", "--client", "grpc", "-o", "yaml"])

    assert 2 == result.exit_code
    assert "gRPC reads JSON" in result.output


def test_with_a_token_the_client_shows_that_on_the_port_for_it_and_no_certificate() -> None:
    (server,) = _printed("--token-file", "/run/towpath/token")["xds_servers"]

    assert server["server_uri"].endswith(":15129")
    assert [{"ca_certificate_file": "/etc/towpath/tls/ca.crt"}] == [
        one["config"] for one in server["channel_creds"]
    ]
    shown = {"type": "jwt_token_file", "config": {"jwt_token_file": "/run/towpath/token"}}
    assert [shown] == server["call_creds"]


def test_a_pods_bootstrap_differs_by_its_node_id_alone() -> None:
    of_all, of_one = (
        yaml.safe_load(CliRunner().invoke(main, ["bootstrap", *more]).output)
        for more in ((), ("--pod", "curl.shop"))
    )

    assert "curl.shop" == of_one["node"].pop("id")
    assert of_all == of_one


def test_for_an_envoy_the_credential_says_where_its_token_is() -> None:
    options = ("bootstrap", "--token-file", "/run/towpath/token")
    bootstrap, credential = (
        CliRunner().invoke(main, [*options, *more]).output for more in ((), ("--credential",))
    )

    assert "path: /run/towpath/credential.json" in bootstrap
    assert "port_value: 15129" in bootstrap
    assert "tls.key" not in bootstrap
    (secret,) = json.loads(credential)["resources"]
    source = secret["generic_secret"]["secret"]
    assert {
        "filename": "/run/towpath/token",
        "watched_directory": {"path": "/run/towpath"},
    } == source


def test_a_credential_and_a_token_are_refused_where_they_mean_nothing() -> None:
    for options, words in (
        (("--credential",), "--credential goes with --token-file"),
        (("--token-file", "/t", "--plaintext"), "a token is only shown over TLS"),
    ):
        result = CliRunner().invoke(main, ["bootstrap", *options])

        assert (2, True) == (result.exit_code, words in result.output)
