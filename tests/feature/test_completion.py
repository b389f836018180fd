"""What a shell completes of values that only a control plane, a cluster or a kubeconfig knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from support.control_plane import control_plane
from support.fake_api import fake_api
from towpath.cli import main
from towpath.model.types import LISTENER


async def _completed(line: str, kubeconfig: Path) -> list[str]:
    """The values that bash is given for the last word of what is typed."""
    words = line.split(" ")
    environment = {
        "_TOWPATH_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "KUBECONFIG": str(kubeconfig),
    }
    runner = CliRunner(env=environment)
    done = await asyncio.to_thread(runner.invoke, main, [], prog_name="towpath")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return [value.removeprefix("plain,") for value in done.stdout.split()]


@pytest.mark.parametrize("command", ["explain", "observe", "audit", "suggest"])
async def test_service_accounts_are_those_of_connected_sidecars(
    command: str, tmp_path: Path
) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(LISTENER)
        await stream.hear()
        line = f"towpath {command} --server {plane.address} --from cu"

        assert ["curl/curl"] == await _completed(line, tmp_path / "none")


async def test_accounts_of_a_folder_need_no_server(tmp_path: Path) -> None:
    mesh = Path(__file__).parents[2] / "deploy" / "demo" / "mesh"
    line = f"towpath audit --manifests {mesh} --account b"

    assert ["bookstore/bookstore"] == await _completed(line, tmp_path / "none")


async def test_namespaces_are_those_of_the_cluster(tmp_path: Path) -> None:
    async with fake_api() as api:
        for name in ("shop", "shipping", "curl", "sh\x1b[2J"):
            api.put("Namespace", name)
        kubeconfig = api.kubeconfig(tmp_path)

        assert ["shipping", "shop"] == await _completed("towpath namespace add sh", kubeconfig)
    assert [] == await _completed("towpath namespace remove sh", tmp_path / "none")


async def test_contexts_are_those_of_every_file(tmp_path: Path) -> None:
    files = []
    for number, names in enumerate((("blue", "green"), ("black",))):
        files.append(tmp_path / str(number))
        files[-1].write_text(yaml.safe_dump({"contexts": [{"name": name} for name in names]}))
    (tmp_path / "broken").write_text("{")
    kubeconfig = Path(":".join(map(str, (*files, tmp_path / "broken"))))

    for command in ("sidecars", "check", "diff"):
        line = f"towpath {command} --context bl"
        assert ["black", "blue"] == await _completed(line, kubeconfig)
