"""The pictures of README and docs, taken of a mesh of a few teams. `make pictures` writes them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from support.page.browser import browser_tab
from support.page.dashboard import dashboard
from support.page.shop import connected, shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

COMMITTED = Path(__file__).parents[2] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 800}
PICTURES = {
    "overview": "",
    "map": "map",
    "explain": "explain?from=search/query&to=https://telemetry.example/v1",
}
LIVE = (
    "() => !document.documentElement.hasAttribute('data-live')"
    " || document.getElementById('stream').dataset.state === 'live'"
)
LARGEST = 200_000
"""Bytes of one picture."""


async def test_the_pictures_are_of_the_page_as_it_is(tmp_path: Path) -> None:
    folder = Path(os.environ.get("TOWPATH_PICTURES") or tmp_path)
    async with (
        shop(tmp_path) as plane,
        connected(plane),
        dashboard(plane.address) as page,
        browser_tab(viewport=SIZE) as tab,
    ):
        for name, view in PICTURES.items():
            if name == "explain":
                plane.switch_egress(on=False)
                await tab.until("() => /Passthrough\\s+off/.test(document.body.innerText)")
            await tab.open(page.url + view)
            await tab.until("() => document.fonts.status === 'loaded'")
            await tab.until(LIVE)
            await tab.page.screenshot(path=folder / f"{name}.png")

    taken = {name: _size(folder / f"{name}.png") for name in PICTURES}
    committed = {name: _size(COMMITTED / f"{name}.png") for name in PICTURES}
    assert committed == taken
    assert [] == tab.complaints
    assert all((COMMITTED / f"{name}.png").stat().st_size < LARGEST for name in PICTURES)


def _size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height
