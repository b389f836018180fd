"""`towpath explain`, `status` and `sidecars` as a person types them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.control_plane import control_plane
from towpath.cli import main

POLICY = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: out, namespace: curl}
spec:
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  hosts: [httpbin.org]
  ports: [{number: 80, protocol: http}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo mesh with policies switched on, and one policy."""
    demo = Path(__file__).parents[2] / "deploy" / "demo" / "mesh"
    for path in demo.glob("*.yaml"):
        text = path.read_text().replace("enableEgressPolicy: false", "enableEgressPolicy: true")
        (tmp_path / path.name).write_text(text)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def _explain(folder: Path, to: str, *more: str) -> Result:
    return _run("explain", "--manifests", str(folder), "--from", "curl/curl", "--to", to, *more)


def test_an_allowed_request_exits_with_0(folder: Path) -> None:
    result = _explain(folder, "http://httpbin.org/get")

    assert result.exit_code == 0
    assert result.output.startswith("ALLOW, by httpbin.org:80\n")


def test_a_denied_request_exits_with_1_and_says_what_would_allow_it(folder: Path) -> None:
    result = _explain(folder, "https://openservicemesh.io")

    assert result.exit_code == 1
    assert result.output.startswith("DENY\n")
    assert "kind: Egress" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "curl", "--to", "http://a.test"),
        ("--from", "curl/curl", "--to", "ftp://a.test"),
        ("--from", "curl/curl", "--to", "http://a.test", "--header", "x"),
        ("--from", "curl/curl", "--to", "http://a.test", "--address", "x"),
        ("--to", "http://a.test"),
    ],
)
def test_bad_usage_exits_with_2(folder: Path, arguments: tuple[str, ...]) -> None:
    result = _run("explain", "--manifests", str(folder), *arguments)

    assert result.exit_code == 2


def test_without_a_folder_or_a_server_it_says_which_to_give() -> None:
    result = _run("explain", "--from", "curl/curl", "--to", "http://a.test")

    assert result.exit_code == 2
    assert "--manifests" in result.output


async def test_a_running_server_gives_the_same_answer(folder: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    async with control_plane(served) as plane:
        (plane.folder / "policy.yaml").write_text(POLICY)
        switched = (folder / "meshconfig.yaml").read_text()
        (plane.folder / "meshconfig.yaml").write_text(switched)
        async with asyncio.timeout(5):
            while not any(p.accepted for p in plane.hub.policies()):
                await asyncio.sleep(0.01)
        asked = ("--from", "curl/curl", "--to", "http://httpbin.org/get")
        result = await asyncio.to_thread(_run, "explain", "--server", plane.address, *asked)
        status = await asyncio.to_thread(_run, "status", "--server", plane.address)
        streams = await asyncio.to_thread(_run, "sidecars", "--server", plane.address)

    assert result.output == _explain(plane.folder, "http://httpbin.org/get").output
    assert "curl/out  yes       no        0/0" in status.output
    assert streams.exit_code == 0


def test_a_server_that_is_not_there_is_named() -> None:
    result = _run("status", "--server", "unix:/nonexistent/socket")

    assert result.exit_code == 1
    assert "unix:/nonexistent/socket" in result.output
