"""`towpath dashboard`: a web page that shows the mesh, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import click

from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Replicas, replicas_of

PORT = 15180
TOKEN_BYTES = 24
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORWARDING = """\
<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={url}">
<title>Towpath</title><a href="{url}">Towpath's dashboard</a>
"""


@click.command()
@place_options
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0: any that is free.",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open a browser, or do not; without either, where there is a screen.",
)
def dashboard(*, place: Place, port: int, opens: bool | None) -> None:
    """Show the mesh on a web page: sidecars, policies, problems, traffic, a map.

    The page is served on 127.0.0.1, by this command, until it is interrupted. It asks the control
    plane as other commands do, with your rights; nothing is opened on the server, and nothing can
    be changed. The address has a token, without which nobody is shown anything.
    """
    with contextlib.suppress(KeyboardInterrupt), replicas_of(place) as replicas:
        asyncio.run(_serve(replicas, port, opens=_has_screen() if opens is None else opens))


async def _serve(replicas: Replicas, port: int, *, opens: bool) -> None:
    # Half a second of imports that only this needs.
    from towpath.admin.http_port import PortName, http_port
    from towpath.cli.page.application import Page
    from towpath.cli.page.control_plane import ControlPlane
    from towpath.telemetry.metrics import Metrics

    control_plane = ControlPlane(replicas)
    page = Page(control_plane, token=secrets.token_urlsafe(TOKEN_BYTES))
    stop = asyncio.Event()
    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    name = PortName("dashboard", "--port")
    try:
        async with http_port(
            page.application(), f"127.0.0.1:{port}", metrics=Metrics(), name=name
        ) as server:
            number = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{number}{page.path}"
            click.echo(f"Dashboard: {url}")
            with _browser(url) if opens else contextlib.nullcontext():
                await stop.wait()
    except OSError as error:
        raise click.ClickException(str(error)) from error
    finally:
        control_plane.close()


@contextlib.contextmanager
def _browser(url: str) -> Iterator[None]:
    """Open a browser, by a file of this user alone: what stands on a command line all can read."""
    with tempfile.TemporaryDirectory(prefix="towpath-") as folder:
        file = Path(folder) / "dashboard.html"
        file.touch(mode=0o600)
        file.write_text(FORWARDING.format(url=url))
        webbrowser.open(file.as_uri())
        yield


def _has_screen() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
