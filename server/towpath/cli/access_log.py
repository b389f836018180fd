"""Commands that read sidecars' access logs: the options, the reading, and what is said of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, TypeVar

import click

from towpath.app import Offline
from towpath.cli.complete import account_names
from towpath.cli.live import LiveReading, read_live
from towpath.cli.options import refuse_beside
from towpath.cli.place import Place
from towpath.clock import utc_now
from towpath.model.names import Account
from towpath.observe.access_log import LONGEST_LINE, AccessLog, Unusable
from towpath.observe.flow import Flow
from towpath.observe.flows import Flows, Tally
from towpath.sources.decode.durations import seconds

F = TypeVar("F", bound=Callable[..., Any])

_TOO_LONG = f"longer than {LONGEST_LINE >> 20} MiB"


class AccountType(click.ParamType[Account]):
    """A service account, `NAMESPACE/NAME`."""

    name = "namespace/serviceaccount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Account:
        """The account; it need not exist."""
        try:
            return Account.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SinceType(click.ParamType[datetime]):
    """A moment, or how long it is ago."""

    name = "duration or time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment, with its time zone."""
        now = utc_now()
        try:
            ago = seconds(value)
            at = datetime.fromisoformat(value) if ago is None else None
            return at or datetime.fromtimestamp(now.timestamp() - (ago or 0.0), now.tzinfo)
        except (ValueError, OverflowError, OSError):
            allowed = "a duration such as 90s, 15m or 2h, or a time such as 2026-01-31T12:00:00Z"
            self.fail(f"it is {value}, allowed is {allowed}", param, ctx)


@dataclass(slots=True)
class Reading:
    """The flows of a log, the number of its lines, and the lines that are not used: how many there
    are for each reason, and the number of the first.
    """

    flows: Flows = field(default_factory=Flows)
    lines: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        """Count the present line as one that is not used."""
        self.unusable[reason] += 1
        self.first.setdefault(reason, self.lines)

    @property
    def whole(self) -> bool:
        """True: a log is read to its end."""
        return True

    @property
    def certain(self) -> bool:
        """True if nothing of what was reported is missing."""
        return not self.flows.left_out

    def remarks(self) -> Iterator[str]:
        """What is to be said of lines that are not counted in flows."""
        for reason, count in self.unusable.items():
            lines = "line is" if count == 1 else "lines are"
            yield f"{count} {lines} left out: {reason} (the first is line {self.first[reason]})"
        if left_out := self.flows.left_out:
            yield f"{left_out} reports are left out: they are of more than {len(self.flows)} flows"


def log_options(command: F) -> F:
    """Add the options that say which log is read, and which part of it."""
    options = (
        click.option(
            "--access-log",
            metavar="FILE|-",
            help="Access log of sidecars, as kubectl logs prints it; - is standard input. Without "
            "it: what they have reported to the control plane.",
        ),
        click.option(
            "--account",
            type=AccountType(),
            shell_complete=account_names,
            help="Service account of the sidecar that wrote the log; needed where no pod among "
            "the manifests has the address that a line names.",
        ),
        click.option(
            "--from",
            "source",
            type=AccountType(),
            shell_complete=account_names,
            help="Only what this service account sends.",
        ),
        click.option(
            "--since",
            type=SinceType(),
            help="Only from this time on: 90s, 15m, 2h ago, or 2026-01-31T12:00:00Z.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_reports(
    access_log: str | None,
    place: Place | None,
    mesh: Offline | None,
    *,
    account: Account | None,
    source: Account | None,
    since: datetime | None,
    paths: bool = False,
    refusals: bool = False,
) -> Reading | LiveReading:
    """Read the log if there is one, else ask the control plane, which knows more pods than a
    folder.
    """
    if access_log is not None:
        later = place is not None
        return read_log(
            access_log,
            mesh,
            account=account,
            source=source,
            since=since,
            paths=paths,
            later=later,
            refusals=refusals,
        )
    refuse_beside("no --access-log", "account", "paths", reason="a server keeps no paths")
    if place is None:
        raise click.UsageError(
            "give --access-log, or no --manifests: sidecars report to a control plane"
        )
    return read_live(place, source=source, since=since, inside=refusals)


def read_log(
    access_log: str,
    mesh: Offline | None,
    *,
    account: Account | None,
    source: Account | None,
    since: datetime | None,
    paths: bool = False,
    later: bool = False,
    refusals: bool = False,
) -> Reading:
    """Read the log to its end; UsageError if the file cannot be read.

    Only reports of *source* are kept, and if *later* somebody else knows more pods, those of pods
    that are not known. With *refusals* they are of what was refused inside the mesh, or would be.
    """
    reader = AccessLog(
        account_of=mesh.account_at if mesh else lambda _: None,
        inside=mesh.inside if mesh else lambda _address, _port: False,
        account=account,
        paths=paths,
        refusals=refusals,
    )
    reading = Reading()
    sources = (source, None) if later else (source,)
    begin = since.timestamp() if since else 0.0
    with ExitStack() as stack:
        for line in _lines(_opened(access_log, stack)):
            reading.lines += 1
            if len(line) > LONGEST_LINE:
                reading.skip(_TOO_LONG)
                continue
            if line.isspace():
                continue
            try:
                report = reader.report(line)
            except Unusable as error:
                reading.skip(str(error))
                continue
            if report is None or report.at < begin:
                continue
            if source is not None and report.flow.account not in sources:
                continue
            reading.flows.add(report)
    return reading


def flow_order(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """How flows are sorted for people."""
    flow: Flow = item[0]
    where = (flow.source, flow.target, flow.port, flow.protocol)
    return (*where, flow.verdict, flow.method, flow.path, flow.policies)


def flow_fields(flow: Flow, tally: Tally) -> dict[str, Any]:
    """What every JSON form of a flow says of it."""
    return {
        "podAddress": flow.pod_address,
        "host": flow.host,
        "addresses": tally.addresses,
        "port": flow.port,
        "protocol": str(flow.protocol),
        "method": flow.method,
        "path": flow.path,
        "verdict": str(flow.verdict),
    }


def shown_request(flow: Flow) -> str:
    """Method and path, as far as they are kept."""
    return " ".join(word for word in (flow.method, flow.path) if word) or "-"


def shown_time(at: float) -> str:
    """Seconds of the epoch, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(name, "rb"))  # noqa: PTH123 (a name as it was typed)
    except OSError as error:
        raise click.UsageError(f"--access-log {name}: {error.strerror}") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long only its beginning."""
    try:
        while line := file.readline(LONGEST_LINE + 1):
            rest = line
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST_LINE + 1)
            yield line
    except OSError as error:
        raise click.UsageError(f"--access-log: {error.strerror}") from error
