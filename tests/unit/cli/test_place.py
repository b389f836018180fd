"""Which control plane a command asks, by what is typed, by its environment and by a kubeconfig."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from towpath.cli.folder import MESH
from towpath.cli.place import Cluster, Place, folder_or_place_options, place_options
from towpath.cli.server import Server
from towpath.cli.settings import setting_options

HERE = Server("127.0.0.1:15128", None)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.touch()
    return path


def _run(*arguments: str, **environment: str) -> Result:
    @click.command()
    @place_options
    def command(place: Place) -> None:
        click.echo(place)

    return CliRunner(env={"KUBECONFIG": "/none", **environment}).invoke(command, arguments)


def _run_beside_a_folder(*arguments: str, **environment: str) -> Result:
    @click.command()
    @setting_options(*MESH)
    @folder_or_place_options
    def command(place: Place | None, manifests: Path | None, **_: object) -> None:
        click.echo(place or manifests)

    return CliRunner(env={"KUBECONFIG": "/none", **environment}).invoke(command, arguments)


def test_a_kubeconfig_leads_to_its_cluster_and_what_is_typed_says_which(kubeconfig: Path) -> None:
    default = _run(KUBECONFIG=str(kubeconfig))
    typed = _run("--kubeconfig", str(kubeconfig), "--context", "blue", "-n", "mesh")

    assert str(Cluster(kubeconfig, "", "osm-system")) == default.output.strip()
    assert str(Cluster(kubeconfig, "blue", "mesh")) == typed.output.strip()


@pytest.mark.parametrize(
    ("arguments", "environment", "place"),
    [
        ((), {"KUBECONFIG": "/none"}, HERE),
        (("--server", "h:1"), {}, Server("h:1", None)),
        ((), {"TOWPATH_LOCAL_SOCKET": "/run/t"}, Server("unix:/run/t", None)),
        (("-n", "mesh"), {"TOWPATH_LOCAL_SOCKET": "/run/t"}, None),
    ],
)
def test_a_server_that_is_named_comes_first_then_the_one_beside(
    arguments: tuple[str, ...], environment: dict[str, str], place: Place | None, kubeconfig: Path
) -> None:
    result = _run(*arguments, **{"KUBECONFIG": str(kubeconfig), **environment})

    assert str(place or Cluster(kubeconfig, "", "mesh")) == result.output.strip()


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("--server", "h:1", "--context", "blue"), "--context"),
        (("--server", "h:1", "-n", "mesh"), "--osm-namespace"),
        (("--context", "blue", "--tls-server-name", "x"), "--tls-server-name"),
    ],
)
def test_what_is_of_the_other_kind_of_place_is_refused(
    arguments: tuple[str, ...], flag: str
) -> None:
    result = _run(*arguments)

    assert 2 == result.exit_code
    assert f"Error: {flag}: not with" in result.stderr


def test_a_folder_is_read_unless_a_place_is_typed(tmp_path: Path, kubeconfig: Path) -> None:
    folder = {"TOWPATH_MANIFESTS": str(tmp_path), "KUBECONFIG": str(kubeconfig)}
    cluster = str(Cluster(kubeconfig, "", "osm-system"))
    both = _run_beside_a_folder("--manifests", str(tmp_path), "--context", "blue")

    assert str(tmp_path) == _run_beside_a_folder(**folder).output.strip()
    assert str(HERE) == _run_beside_a_folder("--server", HERE.address, **folder).output.strip()
    assert cluster == _run_beside_a_folder(KUBECONFIG=str(kubeconfig)).output.strip()
    assert (2, True) == (both.exit_code, "Error: --manifests: not with" in both.stderr)
