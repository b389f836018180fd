"""A real Chromium, driven over its own protocol."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.page.needs import chromium

WITHIN_MS = 60_000
ASKED_FOR_ELSEWHERE = "net::ERR_"
"""What a browser says of a connection that has ended: that is no fault of the page."""


@dataclass
class Tab:
    """One page of the browser, and what it complained of: errors of scripts, what the page's own
    policy forbade, dialogs.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        await self.page.goto(url, wait_until="load", timeout=WITHIN_MS)

    async def until(self, condition: str, argument: object = None) -> None:
        """Wait until that JavaScript expression or function is true in the page."""
        await self.page.wait_for_function(condition, arg=argument, timeout=WITHIN_MS)

    async def until_text(self, text: str) -> None:
        """Wait until the page shows that text."""
        await self.until("text => document.body.innerText.includes(text)", text)

    async def until_live(self) -> None:
        """Wait until the page follows what happens."""
        await self.until("() => document.getElementById('stream').dataset.state === 'live'")

    async def text(self) -> str:
        return str(await self.page.inner_text("body"))


@contextlib.asynccontextmanager
async def browser_tab(
    *, program: Path | None = None, permissions: Sequence[str] = (), **options: Any
) -> AsyncIterator[Tab]:
    """A tab of a fresh browser; *program* is what starts it if not Chromium itself, the *options*
    those of playwright's contexts.
    """
    from playwright.async_api import async_playwright

    # Chromium does not run as root with its sandbox; what it shows is ours.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=str(program or chromium()), args=flags, timeout=WITHIN_MS
        )
        try:
            context = await browser.new_context(permissions=list(permissions), **options)
            tab = Tab(await context.new_page())
            tab.page.on("console", lambda message: _note(tab, message))
            tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
            tab.page.on("dialog", lambda dialog: tab.complaints.append(dialog.message))
            yield tab
        finally:
            await browser.close()


def _note(tab: Tab, message: Any) -> None:
    if message.type in ("error", "warning") and ASKED_FOR_ELSEWHERE not in message.text:
        tab.complaints.append(message.text)
