"""`towpath bootstrap --client grpc`: what docs/grpc.md shows, and every language's client takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

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
