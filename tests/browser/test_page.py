"""The page in a real browser: live, by keyboard, on a narrow screen, and with hostile names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.control_plane import ControlPlane
from support.page.browser import Tab, browser_tab
from support.page.dashboard import Dashboard, dashboard
from support.page.shop import connected, report, shop
from support.xds.process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

VIEWS = (
    *("", "sidecars", "sidecar?id=cart-0.shop", "policies", "problems", "traffic", "audit"),
    *("explain?from=shop/cart&to=https://a.example/", "suggest", "map"),
)
HOSTILE = "<img/src=x/onerror=alert(1)>.example"


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    async with shop(tmp_path) as served, connected(served):
        yield served


@pytest.fixture
async def page(plane: ControlPlane) -> AsyncIterator[Dashboard]:
    async with dashboard(plane.address) as opened:
        yield opened


async def test_what_changes_is_shown_without_loading_the_page_again(
    plane: ControlPlane, page: Dashboard
) -> None:
    async with browser_tab() as tab:
        await tab.open(page.url + "sidecars")
        await tab.until_live()
        await tab.page.evaluate("window.before = true")
        await tab.page.focus("td a")
        focus = await tab.page.evaluate("document.activeElement.textContent")
        plane.switch_egress(on=False)
        await tab.until("() => /Passthrough\\s+off/.test(document.body.innerText)")

        assert await tab.page.evaluate("window.before")
        assert focus == await tab.page.evaluate("document.activeElement.textContent")
        assert [] == tab.complaints


async def test_a_server_that_restarts_is_missed_and_found_again(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, services=3)
    await asyncio.to_thread(server.start)
    try:
        async with dashboard(server.address) as page, browser_tab() as tab:
            await tab.open(page.url + "map")
            await tab.until_live()
            server.kill()
            await tab.until_text("The control plane does not answer.")
            silent = await tab.text()
            await asyncio.to_thread(server.start)
            gone = "() => !document.body.innerText.includes('The control plane does not answer.')"
            await tab.until(gone)
    finally:
        server.kill()

    assert "What you see is from" in silent
    assert [] == tab.complaints


async def test_a_page_without_its_command_says_so(plane: ControlPlane) -> None:
    async with browser_tab() as tab:
        async with dashboard(plane.address) as page:
            await tab.open(page.url)
            await tab.until_live()
        await tab.until("() => document.getElementById('stream').dataset.state === 'lost'")

        assert "not live" in await tab.text()


async def test_a_filter_is_typed_by_keyboard_and_is_a_part_of_the_address(
    page: Dashboard,
) -> None:
    async with browser_tab() as tab:
        await tab.open(page.url + "sidecars")
        await tab.until_live()
        await tab.page.keyboard.press("Tab")
        first = await tab.page.evaluate("document.activeElement.textContent")
        await tab.page.keyboard.press("/")
        await tab.page.keyboard.type("gateway")
        await tab.until("() => document.querySelectorAll('tbody tr').length === 1")

        assert "Skip to the content" == first
        assert "gateway" == await tab.page.evaluate("document.activeElement.value")
        assert tab.page.url.endswith("/sidecars?q=gateway")
        assert "gateway-0.payments" in await tab.text()
        assert [] == tab.complaints


async def test_the_map_lights_up_what_a_box_is_tied_to(
    plane: ControlPlane, page: Dashboard
) -> None:
    async with browser_tab() as tab:
        await tab.open(page.url + "map")
        await tab.until_live()
        await tab.page.focus('[data-node="payments/gateway"] a')
        await tab.until("() => document.querySelectorAll('.edge.on').length > 0")
        lit = await _lit(tab)
        plane.switch_egress(on=False)
        await tab.until("() => document.querySelector('#picture .edge.switch') === null")
        still_lit = await _lit(tab)

    assert {"payments/gateway", "s payments/ledger", "o api.bank.example"} <= lit
    assert "s shop/cart" not in lit
    assert {"payments/gateway", "s payments/ledger", "o api.bank.example"} <= still_lit


async def _lit(tab: Tab) -> set[str]:
    return set(
        await tab.page.eval_on_selector_all(
            "#picture.lit .node.on", "nodes => nodes.map(node => node.dataset.node)"
        )
    )


async def test_names_of_others_are_text(plane: ControlPlane, page: Dashboard) -> None:
    await report(plane, ("shop/cart", HOSTILE, 443, 3, "passthrough"))
    async with browser_tab() as tab:
        for view in ("traffic", "map", "audit", "suggest"):
            await tab.open(page.url + view)
            await tab.until_live()
            await tab.until_text(".example")

        assert 0 == await tab.page.locator("img").count()
        assert [] == tab.complaints


async def test_the_policy_that_would_allow_it_can_be_copied(
    plane: ControlPlane, page: Dashboard
) -> None:
    plane.switch_egress(on=False)
    async with asyncio.timeout(60):
        while "Denied" not in await page.text(
            "explain", **{"from": "shop/cart", "to": "https://a.example/"}
        ):
            await asyncio.sleep(0.1)
    allowed = ("clipboard-read", "clipboard-write")
    async with browser_tab(permissions=allowed) as tab:
        await tab.open(page.url + "explain")
        await tab.page.fill("input[name=from]", "shop/cart")
        await tab.page.fill("input[name=to]", "https://a.example/")
        await tab.page.keyboard.press("Enter")
        await tab.until_text("This would allow it")
        await tab.page.click("button[data-copy]")
        await tab.until_text("Copied")
        text = await tab.page.evaluate("navigator.clipboard.readText()")

    assert text.startswith("apiVersion: policy.openservicemesh.io/v1alpha1\nkind: Egress\n")
    assert text.endswith("\n")
    assert [] == tab.complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_narrow_screen(page: Dashboard, scheme: str) -> None:
    size = {"width": 360, "height": 740}
    widths = {}
    async with browser_tab(color_scheme=scheme, viewport=size) as tab:
        for view in VIEWS:
            await tab.open(page.url + view)
            widths[view] = await tab.page.evaluate("document.documentElement.scrollWidth")
        ground = await tab.page.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor"
        )

    assert {} == {view: width for view, width in widths.items() if width > 360}
    assert (scheme == "dark") == (sum(map(int, ground[4:-1].split(","))) < 200)
    assert [] == tab.complaints


async def test_a_narrow_screen_shows_which_section_is_open(page: Dashboard) -> None:
    async with browser_tab(viewport={"width": 360, "height": 740}) as tab:
        await tab.open(f"{page.url}map")
        await tab.until_live()
        section = await tab.page.evaluate(
            "document.querySelector('nav [aria-current=page]').getBoundingClientRect().toJSON()"
        )

    assert (True, True) == (section["left"] >= 0, section["right"] <= 360)
