"""`towpath-agent`: the command line, and the life of the process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

from towpath_client.agent.agent import Agent, PipyEnded
from towpath_client.agent.child import Child
from towpath_client.agent.counters import Counters
from towpath_client.agent.elsewhere import ByCommand, ByPidFile
from towpath_client.agent.files import ConfigFile
from towpath_client.agent.http import serve_pages
from towpath_client.agent.pipy import Pipy
from towpath_client.backoff import Backoff
from towpath_client.client import AdsClient
from towpath_client.resource_types import SIDECAR_CONFIG
from towpath_client.tls import TlsFiles
from towpath_client.token_file import TokenFile
from towpath_client.update import SubscriptionRefused

log = logging.getLogger(__name__)

Login: TypeAlias = "TlsFiles | TokenFile | None"
"""What the agent shows and trusts; None: nothing, in plaintext."""

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
LAST_WORDS_S = 1.0
"""How long a refusal may take to reach the server before the agent ends with its Pipy."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until Pipy ends, or, without one of our own, until SIGTERM or SIGINT."""
    options = options_of(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s towpath-agent %(levelname)s %(message)s",
    )
    try:
        pipy = _pipy(options)
        login = _login(options)
        if not options.node:
            raise ValueError("--node is not set, and POD_NAME and POD_NAMESPACE are not both there")
        address = _address(options.http_address)
    except ValueError as error:
        sys.exit(f"towpath-agent: {error}")
    try:
        sys.exit(asyncio.run(run(options, pipy, login, address)))
    except OSError as error:
        sys.exit(f"towpath-agent: {error}")


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options that the command line and the environment say; exits if they are wrong."""
    return _parser().parse_args(arguments)


async def run(
    options: argparse.Namespace,
    pipy: Pipy,
    login: Login,
    address: tuple[str, int],
) -> int:
    """Everything at once; gives the exit status. OSError if something cannot be begun."""
    counters = Counters()
    agent = Agent(options.node, ConfigFile(options.config), pipy, counters)
    server = await serve_pages(
        *address,
        {
            "/health": lambda: _health(agent, counters),
            "/metrics": lambda: (HTTPStatus.OK, counters.exposition(running=pipy.running)),
        },
    )
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    _take_signals(pipy, stopped)
    async with server:
        await agent.recover()
        following = asyncio.create_task(_follow(options, agent, login))
        keeping = asyncio.create_task(agent.keep_sure())
        ending = asyncio.create_task(pipy.ended())
        tasks: tuple[asyncio.Future[Any], ...] = (following, keeping, ending)
        try:
            await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
            if not following.done() and ending.done() and not pipy.stopping:
                # Pipy may have ended of a configuration: then its refusal is on its way.
                await asyncio.wait({following}, timeout=LAST_WORDS_S)
            if following.done():
                return following.result()
            return ending.result() if ending.done() else stopped.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(options: argparse.Namespace, agent: Agent, login: Login) -> int:
    """Subscribe, again and again; gives the status that Pipy ended with, if an update ended it."""
    backoff = Backoff()
    while True:
        try:
            async with AdsClient(
                options.server, options.node, credentials=login, user_agent="towpath-agent"
            ) as client:
                await agent.follow(client.subscribe(SIDECAR_CONFIG, (options.node,)))
        except PipyEnded as ended:
            return ended.status
        except SubscriptionRefused as refused:
            text = "%s refused the subscription: %s"
            log.warning(text, options.server, refused, extra={"peer": options.server})
        except OSError as error:
            log.warning("the files to log in with cannot be read: %s", error)
        await backoff.wait()


def _take_signals(pipy: Pipy, stopped: asyncio.Future[int]) -> None:
    def take(number: signal.Signals) -> None:
        stops = number in (signal.SIGTERM, signal.SIGINT)
        if not pipy.forward(number) and stops and not stopped.done():
            stopped.set_result(0)

    for number in FORWARDED:
        asyncio.get_running_loop().add_signal_handler(number, take, number)


def _health(agent: Agent, counters: Counters) -> tuple[HTTPStatus, str]:
    reason = agent.unhealthy
    if reason:
        return HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n"
    refused = f"; refused last: {counters.last_refusal}" if counters.last_refusal else ""
    return HTTPStatus.OK, f"ok {counters.version}{refused}\n"


def _pipy(options: argparse.Namespace) -> Pipy:
    ways = [bool(options.command), bool(options.pid_file), bool(options.reload_command)]
    if sum(ways) != 1:
        raise ValueError("give one of --pid-file, --reload-command, or a command after --")
    times = {"timeout": options.reload_timeout, "settle": options.settle}
    program = options.command[:1] or shlex.split(options.reload_command or "")[:1]
    if program and shutil.which(program[0]) is None:
        raise ValueError(f"there is no program {program[0]!r}")
    if options.stop_command and not options.reload_command:
        raise ValueError("--stop-command goes with --reload-command")
    if options.command:
        return Child(options.command, **times)
    if options.pid_file:
        return ByPidFile(options.pid_file, options.pipy_log, **times)
    stop = shlex.split(options.stop_command or "")
    return ByCommand(shlex.split(options.reload_command), stop=stop, **times)


def _login(options: argparse.Namespace) -> Login:
    files = (options.tls_ca, options.tls_cert, options.tls_key)
    if options.token_file:
        if not options.tls_ca or options.tls_cert or options.tls_key:
            raise ValueError(
                "--token-file goes with --tls-ca, and without --tls-cert and --tls-key"
            )
        name = options.tls_server_name or ""
        return TokenFile(Path(options.tls_ca), Path(options.token_file), name)
    if all(files):
        ca, certificate, key = map(Path, files)
        name = options.tls_server_name or ""
        return TlsFiles(ca=ca, certificate=certificate, key=key, server_name=name)
    if any(files) or options.tls_server_name:
        raise ValueError("give --tls-ca, --tls-cert and --tls-key together, or none of them")
    return None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"--http-address {text!r}: allowed is HOST:PORT")
    return host.strip("[]"), int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="towpath-agent",
        description="Keeps a Pipy sidecar at the newest configuration that it accepts: subscribes, "
        "writes config.json, makes Pipy reload it, and sends the server an ACK or a NACK.",
        epilog="Each option is also read from the environment: --pid-file is "
        "TOWPATH_AGENT_PID_FILE.",
    )

    def option(name: str, **fields: object) -> None:
        variable = "TOWPATH_AGENT_" + name.strip("-").upper().replace("-", "_")
        fields["default"] = os.environ.get(variable, fields.get("default"))
        parser.add_argument(name, **fields)  # type: ignore[arg-type] # argparse's own many types

    pod, namespace = os.environ.get("POD_NAME"), os.environ.get("POD_NAMESPACE")
    option("--server", default="127.0.0.1:15128", help="where to subscribe (%(default)s)")
    option(
        "--node",
        default=f"{pod}.{namespace}" if pod and namespace else None,
        help="<pod>.<namespace>; else $POD_NAME.$POD_NAMESPACE",
    )
    option("--config", type=Path, default="config.json", help="file to write (%(default)s)")
    option("--pid-file", type=Path, help="where a Pipy that runs elsewhere has its process id")
    option("--pipy-log", type=Path, help="with --pid-file: where that Pipy logs")
    option("--reload-command", help="command that makes Pipy read the file, and exits with 0 then")
    option(
        "--stop-command",
        help="with --reload-command: command that ends a Pipy which cannot be told to let nothing "
        "through",
    )
    option(
        "--reload-timeout",
        type=float,
        default="10",
        help="seconds in which the outcome of a reload must be known (%(default)s)",
    )
    option(
        "--settle",
        type=float,
        default="0.1",
        help="seconds without another word of Pipy after which a reload is over (%(default)s)",
    )
    option(
        "--http-address",
        default="127.0.0.1:15904",
        help="where /health and /metrics are served (%(default)s)",
    )
    option("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    option("--tls-ca", type=Path, help="certificates that the server's must come from (PEM)")
    option("--tls-cert", type=Path, help="the sidecar's own certificate (PEM)")
    option("--tls-key", type=Path, help="its key (PEM)")
    option(
        "--token-file",
        type=Path,
        help="the pod's token, in place of --tls-cert and --tls-key; read for each connection",
    )
    option("--tls-server-name", help="name in the server's certificate, if --server is another")
    parser.add_argument(
        "command", nargs="*", metavar="-- COMMAND", help="Pipy, to be run here: -- pipy main.js"
    )
    return parser
