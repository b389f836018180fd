"""The page of `towpath dashboard`, as a browser without scripts sees it: plain HTTP."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import pytest

from support.control_plane import ControlPlane
from support.page.dashboard import TOKEN, Dashboard, dashboard, text_of
from support.page.shop import (
    COMPLAINT,
    REJECTING,
    WAITING,
    connected,
    report,
    report_refusal,
    shop,
)
from support.xds.client import sotw
from support.xds.process import ServerProcess
from support.xds.types import CLUSTER
from towpath.hub.stream import Stream
from towpath.model.names import ClientKind, SidecarId

HOSTILE = "<img/src=x/onerror=alert(1)>.example"
ESCAPES = "red\x1b[31m.example\u202e"
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=", re.IGNORECASE)
VIEWS = (
    *("", "sidecars", f"sidecar?id={REJECTING}", "policies", "problems", "explain"),
    *(
        "policy?kind=Egress&namespace=payments&name=banks",
        "traffic",
        "inside",
        "audit",
        "suggest",
        "map",
    ),
)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    async with shop(tmp_path) as served, connected(served):
        yield served


@pytest.fixture
async def page(plane: ControlPlane) -> AsyncIterator[Dashboard]:
    async with dashboard(plane.address) as opened:
        yield opened


async def test_every_page_begins_with_the_health_of_the_mesh(page: Dashboard) -> None:
    texts = [await page.text(view) for view in VIEWS]

    line = "Sidecars 7 ok · 1 waiting · 1 rejecting Passthrough on Policies on mTLS none Source"
    assert [] == [view for view, text in zip(VIEWS, texts, strict=True) if line not in text]


async def test_bad_sidecars_come_first_with_what_they_say(page: Dashboard) -> None:
    text = await page.text("sidecars")

    order = [text.index(word) for word in (REJECTING, COMPLAINT, WAITING, "catalog-0.shop")]
    assert sorted(order) == order


async def test_sidecars_are_found_by_name_and_by_state(page: Dashboard) -> None:
    named = await page.text("sidecars", q="payments/gate")
    waiting = await page.text("sidecars", state="waiting")

    assert ("gateway-0.payments" in named, "ledger-0.payments" in named) == (True, False)
    assert (WAITING in waiting, REJECTING in waiting) == (True, False)


async def test_one_sidecar_shows_what_it_is_offered_holds_and_lacks(page: Dashboard) -> None:
    offered, held, differing = [
        await page.text("sidecar", id=REJECTING, view=view) for view in ("offered", "held", "diff")
    ]

    assert "cluster passthrough-outbound, original_dst" in offered
    assert "passthrough-outbound" in held
    assert "listener outbound-listener" not in held
    assert "rejected outbound-listener" in differing
    assert "passthrough-outbound" not in differing.partition("Difference")[2].partition("lds")[0]


async def test_a_policy_shows_who_has_it_and_what_it_did(page: Dashboard) -> None:
    text = await page.text("policies", kind="Egress")
    one = await page.text("policy", kind="Egress", namespace="payments", name="banks")
    broken = await page.text("policy", kind="Egress", namespace="shop", name="fonts")

    assert "accepted payments/banks Egress 1/1 \u2013 509 0" in text
    assert text.index("not accepted shop/fonts") < text.index("accepted payments/banks")
    assert "payments/gateway api.bank.example :443 https let out 412" in one
    assert "HTTPRouteGroup shop/fonts does not exist" in broken


async def test_problems_are_listed_and_found_by_a_text(page: Dashboard) -> None:
    everything = await page.text("problems")
    chosen = await page.text("problems", q="missing-route")

    assert "Egress shop/fonts spec.matches missing-route" in everything
    assert ("missing-route" in chosen, "rejected-by-sidecar" in chosen) == (True, False)


async def test_a_refusal_is_explained_with_the_policy_that_would_allow_it(
    plane: ControlPlane, page: Dashboard
) -> None:
    plane.switch_egress(on=False)
    async with asyncio.timeout(60):
        while "Denied" not in (
            html := await page.get(
                "explain", **{"from": "shop/frontend", "to": "https://fonts.web.example/"}
            )
        ):
            await asyncio.sleep(0.1)

    assert "egress passthrough is off" in text_of(html)
    yaml = html.partition('<pre id="suggestion"')[2].partition("</pre>")[0]
    assert "kind: Egress\n" in yaml
    assert "- fonts.web.example" in yaml.replace("&#34;", "")


async def test_a_question_that_cannot_be_read_is_answered_with_why(page: Dashboard) -> None:
    text = await page.text("explain", **{"from": "nobody", "to": "https://a.example/"})

    assert "is not of the form <namespace>/<service account>" in text


async def test_traffic_shows_who_talked_to_what_and_by_which_policy(page: Dashboard) -> None:
    everything = await page.text("traffic")
    refused = await page.text("traffic", verdict="deny")

    assert "shop/catalog cdn.images.example :443 https let out shop/images 1,840" in everything
    assert "shop/cart metrics.vendor.example :443 https passthrough \u2013 2,104" in everything
    assert "search/query telemetry.example :443 https refused \u2013 12" in refused
    assert "metrics.vendor.example" not in refused


async def test_what_is_refused_inside_the_mesh_is_told_apart(
    plane: ControlPlane, page: Dashboard
) -> None:
    await report_refusal(plane, "search/indexer", "shop/cart")
    async with asyncio.timeout(60):
        while "GET" not in (text := await page.text("inside")):
            await asyncio.sleep(0.05)
    picture = await page.text("map")

    assert "search/indexer shop/cart :8080 http GET refused" in text
    assert "search/indexer → shop/cart: 1 refused" in picture
    assert "shop/cart :8080" not in await page.text("traffic")


async def test_the_audit_counts_what_would_be_lost_and_policies_are_suggested(
    page: Dashboard,
) -> None:
    audit, suggested = await page.text("audit"), await page.get("suggest")

    assert "3 service accounts would lose 3 flows ; 5 flows would stay." in audit
    assert "payments/gateway fraud.score.example :443 https 61" in audit
    assert {"fonts.web.example", "fraud.score.example", "metrics.vendor.example"} == set(
        re.findall(r"- (?:&#34;)?([a-z.]+\.example)", suggested)
    )


async def test_the_map_has_what_is_allowed_and_what_was_seen(page: Dashboard) -> None:
    html = await page.get("map")
    titles = dict(re.findall(r'class="edge (\w+)"[^>]*><title>([^<]*)</title>', html))
    text = text_of(html)

    assert {"passed", "allowed", "through", "refused", "switch"} == set(titles)
    assert "payments/gateway → api.bank.example: allowed by payments/banks; 412 let out" in text
    assert "shop/frontend → shop/cart: allowed by shop/frontend-calls-cart" in text
    assert "search/query → telemetry.example: 12 refused" in text


async def test_names_of_others_are_shown_and_never_run(
    plane: ControlPlane, page: Dashboard
) -> None:
    await report(plane, ("shop/cart", HOSTILE, 443, 3, "passthrough"))
    await report(plane, ("shop/cart", ESCAPES, 443, 3, "passthrough"))
    async with sotw(plane.address, f"{HOSTILE}.shop", agent="envoy") as client:
        await client.ask(CLUSTER)
        async with asyncio.timeout(60):
            while HOSTILE not in await page.text("traffic") or "Nobody" in await page.text("map"):
                await asyncio.sleep(0.05)
        pages = [await page.get(view) for view in VIEWS]

    assert [] == [view for view, html in zip(VIEWS, pages, strict=True) if "<img" in html]
    assert [] == [view for view, html in zip(VIEWS, pages, strict=True) if "\x1b" in html]
    assert [] == [view for view, html in zip(VIEWS, pages, strict=True) if "\u202e" in html]
    assert "red\\x1b[31m.example\\u202e" in text_of(pages[VIEWS.index("traffic")])


async def test_no_page_has_a_script_or_a_style_within_it(page: Dashboard) -> None:
    pages = {view: await page.get(view) for view in VIEWS}

    assert {} == {view: found for view, html in pages.items() if (found := INLINE.findall(html))}
    assert {} == {
        view: 1 for view, html in pages.items() if re.search(r'(src|href)="(//|http)', html)
    }


async def test_every_answer_forbids_what_the_page_does_not_need(page: Dashboard) -> None:
    paths = ("", "static/page.css", "nothing", "events?at=nothing")
    for path in paths:
        async with page.session.get(page.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert "no-referrer" == response.headers["Referrer-Policy"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("another-token/", {}, 404),
        ("", {}, 404),
        (f"{TOKEN}/", {"Host": "evil.example:15180"}, 421),
        (f"{TOKEN}/", {"Host": "127.0.0.1.evil.example"}, 421),
        (f"{TOKEN}/", {"Host": "localhost:9999"}, 200),
        (f"{TOKEN}/static/page.js", {"Sec-Fetch-Site": "cross-site"}, 403),
        (
            f"{TOKEN}/",
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            200,
        ),
        (f"{TOKEN}/static/../__init__.py", {}, 404),
        (f"{TOKEN}/static/%2e%2e%2f__init__.py", {}, 404),
    ],
)
async def test_only_who_has_the_address_is_let_in(
    page: Dashboard, path: str, headers: dict[str, str], status: int
) -> None:
    url = f"http://127.0.0.1:{page.port}/{path}"
    async with page.session.get(url, headers=headers) as response:
        assert status == response.status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed(page: Dashboard, method: str) -> None:
    async with page.session.request(method, page.url) as response:
        assert 405 == response.status


async def test_events_show_a_change_when_it_comes(plane: ControlPlane, page: Dashboard) -> None:
    async with page.session.get(page.url + "events", params={"at": "policies"}) as response:
        assert "text/event-stream" == response.content_type
        first = await _event(response)
        plane.switch_egress(on=False)
        async with asyncio.timeout(60):
            while "Passthrough off" not in (text := text_of(await _event(response))):
                pass

    assert "Passthrough on" in text_of(first)
    assert "payments/banks" in text


async def test_five_thousand_sidecars_are_shown_page_by_page(tmp_path: Path) -> None:
    async with shop(tmp_path) as plane, dashboard(plane.address) as page:
        streams = [_attach(plane, number) for number in range(5_000)]
        first = await page.get("sidecars")
        last = await page.text("sidecars", page="100")
        chosen = await page.text("sidecars", q="pod-04321")
        for stream in streams:
            plane.hub.detach(stream)

    assert 50 == first.count("waiting for pod")
    assert len(first) < 60_000
    assert "1\u201350 of 5,000" in text_of(first)
    assert "4,951\u20135,000 of 5,000" in last
    assert "pod-04999.shop" in last
    assert ("pod-04321.shop" in chosen, "pod-00000" in chosen) == (True, False)


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 40, "٣"])
async def test_a_page_that_there_is_not_is_another(page: Dashboard, number: str) -> None:
    assert "shop/fonts" in await page.text("policies", page=number)


@pytest.mark.parametrize("at", ["nosuch", "//[", "http://[::1", "\0?q=x"])
async def test_events_of_a_page_that_there_is_not_are_refused(page: Dashboard, at: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{page.url}events", params={"at": at}) as answer,
    ):
        assert (404, "there is no such page\n") == (answer.status, await answer.text())


async def test_a_server_that_restarts_is_missed_and_found_again(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, services=3)
    await asyncio.to_thread(server.start)
    try:
        async with dashboard(server.address) as page:
            assert "does not answer" not in await page.text("map")
            server.kill()
            async with asyncio.timeout(60):
                while "does not answer" not in (silent := await page.text("map")):
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(60):
                while "does not answer" in (again := await page.text("map")):
                    await asyncio.sleep(0.05)
    finally:
        server.kill()

    assert "What you see is from" in silent
    assert "curl/curl" in silent
    assert "curl/curl" in again


async def test_whoever_comes_before_the_server_is_told_so(tmp_path: Path) -> None:
    async with dashboard(f"unix:{tmp_path}/nobody.sock") as page:
        texts = [await page.text(view) for view in VIEWS]

    assert [] == [
        view for view, text in zip(VIEWS, texts, strict=True) if "does not answer" not in text
    ]


def test_the_command_says_where_the_page_is_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with _command("--server", f"unix:{tmp_path}/nobody.sock", "--port", "0") as command:
        assert command.stdout is not None
        line = command.stdout.readline()
        url = line.removeprefix("Dashboard: ").strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url), line
        with urlopen(url, timeout=60) as response:
            assert "The control plane does not answer." in text_of(response.read().decode())
        command.send_signal(signal.SIGINT)

        assert (0, "") == (command.wait(30), command.stderr.read() if command.stderr else "")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    server = ("--server", f"unix:{tmp_path}/nobody.sock")
    with _command(*server, "--port", "0") as first:
        assert first.stdout is not None
        port = first.stdout.readline().split(":")[3].partition("/")[0]
        with _command(*server, "--port", port) as second:
            assert 1 == second.wait(60)
            assert second.stderr is not None
            error = second.stderr.read()

    assert f"--port 127.0.0.1:{port} cannot be bound" in error


@contextmanager
def _command(*options: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "towpath", "dashboard", "--no-open", *options]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def _attach(plane: ControlPlane, number: int) -> Stream:
    sidecar = SidecarId(f"pod-{number:05}", "shop")
    return plane.hub.attach(
        peer="test",
        node_id=str(sidecar),
        sidecar=sidecar,
        kind=ClientKind.ENVOY,
        variant="sotw",
        subscriber=None,
    )


async def _event(response: aiohttp.ClientResponse) -> str:
    """The data of the next event of the page."""
    lines = []
    async with asyncio.timeout(60):
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("data: "):
                lines.append(line.removeprefix("data: "))
            elif not line and lines:
                return "\n".join(lines)
    raise AssertionError("the stream has ended")
