"""The page in a real browser, with real Envoys connected: what they hold, let out and refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.dataplane.clients import curl
from support.dataplane.policy import egress, until_curl
from support.dataplane.reports import observe
from support.dataplane.rig import Rig
from support.page.browser import Tab, browser_tab
from support.page.needs import chromium
from towpath.encode.envoy.bootstrap import Transport

pytestmark = [pytest.mark.dataplane, pytest.mark.browser]


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: the page does not go by it."""
    return Transport.SOTW


@contextmanager
def opened(rig: Rig) -> Iterator[str]:
    """`towpath dashboard` of the running server; gives the page's address."""
    host, port = rig.towpath.ads
    options = ("--server", f"{host}:{port}", "--port", "0", "--no-open")
    words = rig.network.control.command(sys.executable, "-m", "towpath", "dashboard", *options)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as command:
        try:
            assert command.stdout is not None
            yield command.stdout.readline().removeprefix("Dashboard: ").strip()
        finally:
            command.terminate()


async def test_what_envoys_hold_let_out_and_refuse_is_on_the_page(
    outside: Rig, tmp_path: Path
) -> None:
    observe(outside, "reports")
    outside.manifests.apply(egress("web", (80, "http"), hosts=["httpbin.org"]))
    until_curl(outside, "http://httpbin.org/get", status=200)
    curl(outside.client, "http://openservicemesh.io/")
    program = tmp_path / "chromium"
    program.write_text(f'#!/bin/sh\nexec {_words(outside)} "$@"\n')
    program.chmod(0o755)
    with opened(outside) as url:
        async with browser_tab(program=program) as tab:
            await _shows(tab, url + "sidecars", "1 ok", "curl.curl", "curl/curl", "envoy")
            await _shows(tab, url + "sidecar?id=curl.curl", "outbound-listener", "httpbin.org")
            await _shows(tab, url + "policies", "accepted", "curl/web", "1/1")
            await _shows(tab, url + "traffic", "httpbin.org:80", "let out", "curl/web")
            await _shows(tab, url + "traffic?verdict=deny", "openservicemesh.io:80", "refused")
            await _shows(tab, url + "map", "httpbin.org", "openservicemesh.io")

            observe(outside, "disabled")
            await tab.open(url)
            await tab.until_live()
            outside.manifests.set_egress(on=True)
            await tab.until("() => /Passthrough\\s+on/.test(document.body.innerText)")

            assert [] == tab.complaints


async def _shows(tab: Tab, url: str, *texts: str) -> None:
    """Open the page, and wait until it shows all of these."""
    await tab.open(url)
    for text in texts:
        await tab.until_text(text)


def _words(rig: Rig) -> str:
    """The command line that starts Chromium where the server is."""
    return " ".join(rig.network.control.command(chromium() or "chromium"))
