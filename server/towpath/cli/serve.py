"""`towpath serve`: run the control plane."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import click

from towpath import __version__
from towpath.app import serve as run
from towpath.cli.options import refuse_beside, setting_options
from towpath.settings import Settings, SettingsError
from towpath.sources import SourceError
from towpath.telemetry.descriptor import captured
from towpath.telemetry.logs import configure

log = logging.getLogger(__name__)

LONGEST_STOP_S = 15.0
"""How long stopping may take beyond the time that streams are given."""

TRY = """\
  grpcurl {how} list
  grpcurl {how} towpath.v1.Inspector/ListProblems
  grpcurl -d '{{"node_id": "curl.curl"}}' {how} towpath.v1.Inspector/GetSnapshot"""


@click.command()
@setting_options()
def serve(**options: Any) -> None:
    """Run the control plane: serve sidecars from a folder of manifests or a cluster."""
    if options["manifests"] is not None:
        refuse_beside("--manifests", "context", "write_status", reason="a folder is not a cluster")
    with captured() as stream:
        _run(options, stream)


def _run(options: dict[str, Any], stream: TextIO) -> None:
    """Serve until the end, with the log on *stream*."""
    failures: tuple[Exception, ...] = ()
    unforeseen = False
    if options["log_format"] == "json":
        configure(level="info", form="json", stream=stream)
    try:
        settings = Settings(**options)
        configure(level=settings.log_level, form=settings.log_format, stream=stream)
        asyncio.run(
            run(
                settings,
                announce=lambda: _announce(settings),
                stopping=lambda: _end_within(settings.shutdown_grace + LONGEST_STOP_S),
            )
        )
    except* (SettingsError, SourceError, OSError) as group:  # parts run, and fail, side by side
        failures = tuple(_single(group))
    except* Exception as group:
        log.critical("ended by an error that nobody foresaw", exc_info=group)
        unforeseen = True
    if failures and options["log_format"] == "text":
        raise click.ClickException("; ".join(map(str, failures)))
    for failure in failures:
        log.error("%s", failure)
    if failures or unforeseen:
        sys.exit(1)


def _end_within(seconds: float) -> None:
    """End the process then, whatever still keeps it: a thread that reads a disk that is gone."""

    def end() -> None:
        log.error("stopping took longer than %g s: the process is ended", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _single(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _single(error)
        else:
            yield error


def _announce(settings: Settings) -> None:
    source = str(settings.manifests or settings.kubeconfig or "the cluster it runs in")
    log.info(
        "Towpath %s serves the mesh %s from %s",
        __version__,
        settings.mesh_name,
        source,
        extra={
            "version": __version__,
            "mesh": settings.mesh_name,
            "source": source,
            "ads_address": settings.ads_address,
            "http_address": settings.http_address,
            "local_socket": str(settings.local_socket or ""),
            "tls": settings.tls,
        },
    )
    if settings.log_format == "text":
        _greet(settings)


def _greet(settings: Settings) -> None:
    ads, local = settings.ads_address, settings.local_socket
    over = "gRPC over mutual TLS" if settings.tls else "gRPC"
    click.echo(f"ADS, Inspector, CSDS, reflection and health ({over}): {ads}")
    if local is not None:
        click.echo(f"Inspector, CSDS, reflection and health (gRPC, for this user): unix:{local}")
    click.echo(f"/health/ready, /health/alive, /metrics, /version (HTTP): {settings.http_address}")
    how = f"-plaintext {ads}"
    if settings.tls:
        how = f"-cacert CA.crt -cert PERSON.crt -key PERSON.key {ads}"
    if local is not None:
        how = f"-plaintext -unix {local}"
    click.echo("Try:\n" + TRY.format(how=how))
