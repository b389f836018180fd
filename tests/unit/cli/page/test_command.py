"""`towpath dashboard`: what the page of the manual has typed, and how a browser is opened."""

from __future__ import annotations

import shlex
import stat
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner

import towpath.cli.dashboard as command
from support.pages import commands
from towpath.cli import main

PAGE = Path(__file__).parents[4] / "docs" / "dashboard.md"
URL = "http://127.0.0.1:15180/secret/"


@pytest.mark.parametrize("typed", commands(PAGE), ids=lambda one: one.command)
def test_what_the_page_has_typed_is_understood(
    typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[object, ...]] = []

    async def serve(_replicas: object, port: int, *, opens: bool) -> None:
        served.append((port, opens))

    monkeypatch.setattr(command, "_serve", serve)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    words = shlex.split(typed.command)[1:]
    done = CliRunner(env={"HOME": str(tmp_path), "KUBECONFIG": ""}).invoke(main, words)

    assert 0 == done.exit_code, done.output
    assert [(0 if "--port" in words else command.PORT, False)] == served


def test_a_browser_is_led_to_the_page_by_a_file_of_this_user_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    with command._browser(URL):
        (address,) = addresses
        file = Path(unquote(urlsplit(address).path))
        mode, text = stat.S_IMODE(file.stat().st_mode), file.read_text()

    assert "secret" not in address
    assert (0o600, True) == (mode, f"0;url={URL}" in text)
    assert not file.exists()
