"""The command line made of the settings: each of them can be given, and each switch turned."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from towpath.cli.settings import setting_options
from towpath.settings import Settings, all_settings


def _given(*arguments: str, **environment: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    @click.command()
    @setting_options()
    def command(**options: Any) -> None:
        seen.update(options)

    done = CliRunner().invoke(command, arguments, env=environment)
    assert done.exit_code == 0, done.output
    return seen


def test_without_a_word_every_setting_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOWPATH_TRANSPORT")  # which the whole suite has

    assert Settings() == Settings.of(**_given())


@pytest.mark.parametrize(
    "name", [setting.name for setting in all_settings().values() if setting.type is bool]
)
def test_every_switch_can_be_turned_on_the_command_line_and_in_the_environment(name: str) -> None:
    default = all_settings()[name].default
    flag = ("--no-" if default else "--") + name.replace("_", "-")

    assert _given(flag)[name] is not default
    assert _given(**{f"TOWPATH_{name.upper()}": str(not default)})[name] is not default
