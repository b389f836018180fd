"""`towpath serve`: what it cannot use ends it at once, with exit code 2 and the option's name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from towpath.cli import main
from towpath.cli.config_file import config_option
from towpath.cli.serve import ServeCommand
from towpath.cli.settings import setting_options
from towpath.settings import all_settings, groups

FOLDER = ("--manifests", "deploy/demo/mesh")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """A command configures logs for its process: here they are put back."""
    root, own = logging.getLogger(), logging.getLogger("towpath")
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def _refused(*arguments: str, **environment: str) -> str:
    done = CliRunner(env=environment).invoke(main, ["serve", *arguments])
    assert 2 == done.exit_code, done.output
    return done.stderr


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--max-names", "0", "it is 0, allowed is 1 to 1,000,000"),
        ("--max-names", "many", "it is many, allowed is 1 to 1,000,000"),
        ("--max-names", "1.5", "it is 1.5, allowed is 1 to 1,000,000"),
        ("--canary-wait", "nan", "it is nan, allowed is 0 to 3600 seconds"),
        ("--max-message-mib", "2000", "it is 2000, allowed is 1 to 1024 MiB"),
        ("--http-address", "9091", "it is 9091, allowed is HOST:PORT with a port of 0 to 65535"),
        ("--log-level", "loud", "'loud' is not one of 'debug', 'info', 'warning', 'error'"),
        ("--outside-endpoints", "yes", "'yes' is not one of 'allow', 'deny'"),
        ("--plaintext=", "maybe", "does not take a value"),
    ],
)
def test_a_bad_value_is_named_with_its_option_and_what_is_allowed(
    option: str, value: str, allowed: str
) -> None:
    said = _refused(f"{option.rstrip('=')}={value}", *FOLDER)

    assert option.rstrip("=") in said
    assert allowed in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tls-cert", "crt"), "give --tls-cert, --tls-key and --tls-client-ca together"),
        (("--kubeconfig", "k"), "--manifests and --kubeconfig: give one of them"),
        (("--ads-address", "0.0.0.0:15128"), "--ads-address is 0.0.0.0:15128, which is not loopb"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_too(
    options: tuple[str, ...], said: str
) -> None:
    assert said in _refused(*FOLDER, *options)


def test_a_variable_is_checked_like_an_option() -> None:
    said = _refused(*FOLDER, TOWPATH_CANARIES="0")

    assert "TOWPATH_CANARIES" in said
    assert "it is 0, allowed is 1 to 100" in said


@pytest.mark.parametrize("command", ["serve", "render", "problems", "explain"])
def test_a_variable_of_no_setting_is_refused(command: str) -> None:
    of_command = {
        "render": ("--sidecar", "curl.curl"),
        "explain": ("--from", "curl/curl", "--to", "http://httpbin.org"),
    }
    arguments = [command, *FOLDER, *of_command.get(command, ())]
    done = CliRunner(env={"TOWPATH_MESHNAME": "blue"}).invoke(main, arguments)

    assert 2 == done.exit_code
    assert "TOWPATH_MESHNAME is not a setting: did you mean TOWPATH_MESH_NAME?" in done.stderr


@pytest.mark.parametrize(
    ("options", "environment", "reason"),
    [
        (("--max-names", "0"), {}, "allowed is 1 to 1,000,000"),
        (("--log-level", "loud"), {}, "'loud' is not one of"),
        (("--tls-cert", "crt"), {}, "together"),
        (("--context", "x"), {}, "--context: not with --manifests"),
        ((), {"TOWPATH_CANERIES": "1"}, "did you mean TOWPATH_CANARIES?"),
        (("--caneries", "1"), {}, "No such option '--caneries'"),
        (("more",), {}, "unexpected extra argument (more)"),
    ],
)
def test_with_json_a_refusal_is_one_object_and_nothing_else(
    options: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    done = CliRunner(env=environment).invoke(
        main, ["serve", *FOLDER, *options, "--log-format", "json"]
    )

    (line,) = done.stderr.splitlines()
    assert (2, "") == (done.exit_code, done.stdout)
    assert "error" == json.loads(line)["level"]
    assert reason in json.loads(line)["message"]


def test_help_shows_every_setting_in_the_section_of_its_group_with_what_is_allowed() -> None:
    words = " ".join(CliRunner().invoke(main, ["serve", "--help"]).output.split())

    for group in groups().values():
        assert f" {group.title}: --" in words
    for setting in all_settings().values():
        assert setting.flag in words
        assert f"env var: {setting.variable}" in words
        for choice in setting.choices:
            assert choice in words
    assert "--canary-wait SECONDS" in words
    assert "default: 1; 0 to 3600 seconds]" in words


@pytest.mark.parametrize("name", [s.name for s in all_settings().values() if s.choices])
def test_a_shell_completes_the_choices(name: str) -> None:
    setting = all_settings()[name]
    shell = ShellComplete(main, {}, "towpath", "_TOWPATH_COMPLETE")
    words = [item.value for item in shell.get_completions(["serve", setting.flag], "")]

    assert list(setting.choices) == words


def _with_file(path: Path, *arguments: str, **environment: str) -> tuple[Result, dict[str, Any]]:
    seen: dict[str, Any] = {}

    @click.command(cls=ServeCommand)
    @config_option
    @setting_options()
    def command(**options: Any) -> None:
        seen.update(options)

    runner = CliRunner(env=environment)
    return runner.invoke(command, ["--config", str(path), *arguments]), seen


def test_a_file_sets_what_neither_the_command_line_nor_the_environment_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "towpath.yaml"
    path.write_text(
        "canary-wait: 2\nmax-names: 7\ncanaries: 3\nwrite-status: no\nmesh-name: 12\n"
        "manifests: mesh\ncontext:\nlog-level: debug\n"
    )
    done, seen = _with_file(path, "--max-names", "8", TOWPATH_CANARIES="9")

    assert 0 == done.exit_code, done.output
    expected = {
        "canary_wait": 2.0,
        "max_names": 8,
        "canaries": 9,
        "write_status": False,
        "mesh_name": "12",
        "manifests": Path("mesh"),
        "context": "",
        "log_level": "debug",
    }
    assert expected == {name: seen[name] for name in expected}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", ":1: a is not a setting: `towpath serve --help` lists all"),
        ("\ncanary-wiat: 1\n", ":2: canary-wiat is not a setting: did you mean canary-wait?"),
        ("canary_wait: 1\n", ":1: canary_wait is not a setting: did you mean canary-wait?"),
        ("max-names: 0\n", ":1: max-names: it is 0, allowed is 1 to 1,000,000"),
        ("log-level: loud\n", ":1: log-level: 'loud' is not one of 'debug'"),
        ("plaintext: maybe\n", ":1: plaintext: 'maybe' is not a valid boolean"),
        ("canaries: 1\ncanaries: 2\n", ":2: canaries is there twice"),
        ("canaries: [1, 2]\n", ":1: it must be NAME: VALUE, with one value"),
        ("- canaries\n", ": it must be lines of NAME: VALUE"),
        ("canaries: {\n", ": while parsing"),
    ],
)
def test_a_file_is_checked_like_a_command_line_and_the_line_is_named(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "towpath.yaml"
    path.write_text(text)
    done, seen = _with_file(path)

    assert (2, {}) == (done.exit_code, seen)
    assert f"{path}{said}" in done.output


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("log-format: json\ntls-cert: crt\n", {}, "together"),
        ("canaries: 0\nlog-format: json\n", {}, ":1: canaries: it is 0"),
        ("canaries: {\n", {"TOWPATH_LOG_FORMAT": "json"}, "while parsing"),
        ("canary: 1\n", {"TOWPATH_LOG_FORMAT": "json"}, ":1: canary is not a setting"),
    ],
)
def test_a_files_faults_are_logged_in_the_form_that_logs_have(
    tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    path = tmp_path / "towpath.yaml"
    path.write_text(text)
    arguments = ["serve", *FOLDER, "--config", str(path)]
    done = CliRunner(env=environment).invoke(main, arguments)

    (line,) = done.stderr.splitlines()
    assert (2, "") == (done.exit_code, done.stdout)
    assert said in json.loads(line)["message"]
