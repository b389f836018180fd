"""`towpath serve`: run the control plane."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TextIO

import click

from towpath import __version__
from towpath.app import serve as run
from towpath.cli.config_file import config_option
from towpath.cli.options import refuse_beside
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.settings import AccessSettings, Settings, SettingsError, all_settings
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


class ServeCommand(SettingsCommand):
    """Also what is wrong with the command line is logged, where nothing but a log is wanted."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """As click does."""
        with _refusal(_typed_form(args)):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        with _refusal():
            return super().invoke(ctx)


def _typed_form(args: Sequence[str]) -> str:
    """The form of the log, read from words of which others may be nonsense."""
    setting = all_settings()["log_format"]
    form: str = os.environ.get(setting.variable, setting.default)
    for word, following in pairwise([*args, ""]):
        flag, equals, value = word.partition("=")
        if flag == setting.flag:
            form = value if equals else following
    return form


@contextlib.contextmanager
def _refusal(form: str = "text") -> Iterator[None]:
    """Log a usage error if the log is JSON, and end with its exit code; *form* is that of a command
    line that cannot be parsed.
    """
    try:
        yield
    except click.UsageError as error:
        if error.ctx is not None:
            form = error.ctx.params.get("log_format", form)
        if form != "json":
            raise
        configure(level="info", form="json", stream=sys.stderr)
        log.error("%s", error.format_message())
        sys.exit(error.exit_code)


@click.command(cls=ServeCommand)
@config_option
@setting_options()
def serve(**options: Any) -> None:
    """Run the control plane: serve sidecars from a folder of manifests or a cluster.

    Exit code 0: it was stopped; 1: it could not start, or failed; 2: a setting is not allowed.
    """
    if options["manifests"] is not None:
        refuse_beside("--manifests", "context", "write_status", reason="a folder is not a cluster")
    try:
        settings = Settings.of(**options)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    with captured() as stream:
        _run(settings, stream)


def _run(settings: Settings, stream: TextIO) -> None:
    """Serve until the end, with the log on *stream*."""
    failures: tuple[Exception, ...] = ()
    unforeseen = False
    level, form = settings.process.log_level, settings.process.log_format
    configure(level=level, form=form, stream=stream)
    try:
        asyncio.run(
            run(
                settings,
                announce=lambda: _announce(settings),
                stopping=lambda: _end_within(settings.process.shutdown_grace + LONGEST_STOP_S),
            )
        )
    except* (SettingsError, SourceError, OSError) as group:  # parts run, and fail, side by side
        failures = tuple(_single(group))
    except* Exception as group:
        log.critical("ended by an error that nobody foresaw", exc_info=group)
        unforeseen = True
    if failures and form == "text":
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
    mesh, access = settings.mesh.mesh_name, settings.access
    of = settings.source
    source = str(of.manifests or of.kubeconfig or "the cluster it runs in")
    log.info(
        "Towpath %s serves the mesh %s from %s",
        __version__,
        mesh,
        source,
        extra={
            "version": __version__,
            "mesh": mesh,
            "source": source,
            "ads_address": access.ads_address,
            "http_address": access.http_address,
            "local_socket": str(access.local_socket or ""),
            "tls": access.tls,
        },
    )
    if settings.process.log_format == "text":
        _greet(access)


def _greet(access: AccessSettings) -> None:
    ads, local = access.ads_address, access.local_socket
    over = "gRPC over mutual TLS" if access.tls else "gRPC"
    click.echo(f"ADS, Inspector, CSDS, reflection and health ({over}): {ads}")
    if local is not None:
        click.echo(f"Inspector, CSDS, reflection and health (gRPC, for this user): unix:{local}")
    click.echo(f"/health/ready, /health/alive, /metrics, /version (HTTP): {access.http_address}")
    how = f"-plaintext {ads}"
    if access.tls:
        how = f"-cacert CA.crt -cert PERSON.crt -key PERSON.key {ads}"
    if local is not None:
        how = f"-plaintext -unix {local}"
    click.echo("Try:\n" + TRY.format(how=how))
