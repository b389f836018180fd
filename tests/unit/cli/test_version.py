"""`towpath version` without a cluster, and where the cluster does not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from towpath import __version__
from towpath.cli import main

NOWHERE = """\
apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
users: [{name: nobody, user: {token: none}}]
"""


def _version(kubeconfig: Path, *more: str) -> Result:
    return CliRunner(env={"KUBECONFIG": str(kubeconfig)}).invoke(main, ("version", *more))


@pytest.mark.parametrize("options", [("--client-only",), ()], ids=["client", "no-kubeconfig"])
def test_without_a_cluster_it_is_that_of_the_command(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    document: dict[str, object] = {"version": __version__, "controlPlanes": [], "unanswered": None}
    kubeconfig = tmp_path / "none"

    assert f"{__version__}\n" == _version(kubeconfig, *options).output
    assert document == json.loads(_version(kubeconfig, *options, "-o", "json").output)
    assert document == yaml.safe_load(_version(kubeconfig, *options, "-o", "yaml").output)
    assert "" == _version(kubeconfig, *options, "-o", "name").output


def test_a_cluster_that_does_not_answer_is_said_to_programs_too(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(NOWHERE)
    done = _version(kubeconfig, "-o", "json")

    assert 0 == done.exit_code
    assert "127.0.0.1" in json.loads(done.stdout)["unanswered"]
    assert "the cluster's control planes are not known: " in done.stderr
