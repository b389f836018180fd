"""`towpath explain`, `status` and `sidecars` as a person types them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from support.control_plane import ControlPlane as Plane
from support.control_plane import control_plane
from towpath.cli import main
from towpath.model.types import LISTENER

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
    """The demo mesh with policies switched on and permissive mode off, and one policy."""
    demo = Path(__file__).parents[2] / "deploy" / "demo" / "mesh"
    for path in demo.glob("*.yaml"):
        text = path.read_text().replace("enableEgressPolicy: false", "enableEgressPolicy: true")
        permissive = "enablePermissiveTrafficPolicyMode: "
        (tmp_path / path.name).write_text(text.replace(f"{permissive}true", f"{permissive}false"))
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


def test_what_is_suggested_can_be_put_into_the_folder_as_it_is(folder: Path) -> None:
    denied = _explain(folder, "http://openservicemesh.io/a%20b?c", "-o", "json")
    (folder / "suggested.yaml").write_text(json.loads(denied.output)["suggestion"])
    result = _explain(folder, "http://openservicemesh.io/a%20b?c")

    assert denied.exit_code == 1
    assert result.exit_code == 0, result.output
    assert _explain(folder, "http://openservicemesh.io/other").exit_code == 1
    assert _explain(folder, "http://httpbin.org/get").exit_code == 0


def test_what_is_suggested_inside_the_mesh_can_be_put_into_the_folder_too(folder: Path) -> None:
    denied = _explain(folder, "http://bookstore.bookstore/buy?all", "-o", "json")
    (folder / "suggested.yaml").write_text(json.loads(denied.output)["suggestion"])

    allowed = _explain(folder, "http://bookstore.bookstore/buy")
    other = _explain(folder, "http://bookstore.bookstore/sell")
    assert [1, 0, 1] == [denied.exit_code, allowed.exit_code, other.exit_code]
    assert "kind: TrafficTarget" in other.output


def test_a_policy_that_does_not_speak_for_the_account_says_why(folder: Path) -> None:
    outside = POLICY.replace("namespace: curl}\nspec", "namespace: outside}\nspec")
    namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: outside}\n"
    (folder / "policy.yaml").write_text(outside + namespace)
    result = _explain(folder, "http://httpbin.org/get")

    assert result.exit_code == 1
    said = "Egress outside/out metadata.namespace: NotInMesh: its namespace lacks the label"
    assert said in result.output


def test_without_a_folder_or_a_server_it_says_which_to_give() -> None:
    result = _run("explain", "--from", "curl/curl", "--to", "http://a.test")

    assert result.exit_code == 2
    assert "--manifests" in result.output


@pytest.fixture
async def plane(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    """A server in this process that has read the same folder."""
    async with control_plane(tmp_path_factory.mktemp("served")) as started:
        for name in ("policy.yaml", "meshconfig.yaml"):
            (started.folder / name).write_text((folder / name).read_text())
        async with asyncio.timeout(30):
            while not any(p.accepted for p in started.hub.policies()):
                await asyncio.sleep(0.01)
        yield started


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("http://httpbin.org/get", 0),
        ("https://openservicemesh.io", 1),
        ("http://bookstore.bookstore/buy", 1),
    ],
)
async def test_a_running_server_gives_the_same_answer(plane: Plane, to: str, code: int) -> None:
    asked = ("explain", "--server", plane.address, "--from", "curl/curl", "--to", to)
    result = await asyncio.to_thread(_run, *asked)

    assert result.exit_code == code
    assert result.output == _explain(plane.folder, to).output


async def test_a_running_server_refuses_bad_usage_in_the_same_way(plane: Plane) -> None:
    asked = ("explain", "--server", plane.address, "--from", "curl/curl", "--to", "ftp://a.test")
    result = await asyncio.to_thread(_run, *asked)

    assert result.exit_code == 2
    assert "the scheme is http or https" in result.output


async def test_a_running_server_tells_the_status_of_its_policies(plane: Plane) -> None:
    table = await asyncio.to_thread(_run, "status", "--server", plane.address)
    as_json = await asyncio.to_thread(_run, "status", "--server", plane.address, "-o", "json")
    streams = await asyncio.to_thread(_run, "sidecars", "--server", plane.address)

    assert (table.exit_code, as_json.exit_code, streams.exit_code) == (0, 0, 0)
    assert "curl/out  yes       no        0/0" in table.output
    (policy,) = json.loads(as_json.output)["policies"]
    assert (policy["kind"], policy["name"], policy["accepted"]) == ("Egress", "out", True)


async def test_a_problem_is_one_line_in_every_command(plane: Plane) -> None:
    route = "{apiGroup: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, name: gone}"
    (plane.folder / "policy.yaml").write_text(f"{POLICY}  matches: [{route}]\n")
    async with asyncio.timeout(30):
        while not any(policy.problems for policy in plane.hub.policies()):
            await asyncio.sleep(0.01)
    server = ("--server", plane.address)
    asked = ("--from", "curl/curl", "--to", "http://httpbin.org/get")
    commands = (("problems",), ("status",), ("explain", *asked))
    results = [await asyncio.to_thread(_run, *command, *server) for command in commands]

    (line,) = (one for one in results[0].stdout.splitlines() if ": Missing: " in one)
    assert line.startswith("error: Egress curl/out spec.matches: Missing: ")
    assert line.endswith(" [missing-route]")
    for result in results:
        lines = [one.strip() for one in result.stdout.splitlines() if ": Missing: " in one]
        assert [line] == lines


def _completed(*words: str) -> list[str]:
    """What a shell is given for the last word."""
    completer = BashComplete(main, {}, "towpath", "_TOWPATH_COMPLETE")
    return [one.value for one in completer.get_completions(list(words[:-1]), words[-1])]


def test_service_accounts_of_a_folder_are_completed(folder: Path, tmp_path: Path) -> None:
    words = ("explain", "--manifests", str(folder), "--from")

    assert ["curl/curl"] == _completed(*words, "cu")
    assert "bookstore/bookstore" in _completed(*words, "")
    assert [] == _completed("explain", "--manifests", str(tmp_path / "none"), "--from", "")


async def test_service_accounts_of_connected_sidecars_are_completed(plane: Plane) -> None:
    words = ("explain", "--server", plane.address, "--from", "cu")
    alone = await asyncio.to_thread(_completed, *words)
    async with plane.stream() as stream:
        await stream.say(LISTENER)
        await stream.hear()
        connected = await asyncio.to_thread(_completed, *words)

    assert ([], ["curl/curl"]) == (alone, connected)


def test_status_takes_no_arguments() -> None:
    assert _run("status", "everything").exit_code == 2


def test_a_server_that_is_not_there_is_named() -> None:
    result = _run("status", "--server", "unix:/nonexistent/socket")

    assert 2 == result.exit_code
    assert "unix:/nonexistent/socket" in result.output


@pytest.mark.parametrize(
    "command",
    [("problems",), ("explain", "--from", "curl/curl", "--to", "http://httpbin.org/")],
    ids=lambda command: command[0],
)
def test_no_answer_is_told_from_an_answer_by_the_exit_code(command: tuple[str, ...]) -> None:
    result = _run(*command, "--server", "unix:/nonexistent/socket")

    assert result.exit_code == 2
    assert "unix:/nonexistent/socket" in result.output
