"""`towpath diff`: what a change of the manifests opens and closes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from towpath.answers.access_change import Changes, Comparison
from towpath.app import Offline
from towpath.cli.access_words import because, sentence, summary_line, who
from towpath.cli.cluster import cluster_options, on_cluster
from towpath.cli.folder import MESH, as_served_option, read_folder, remark_assumptions
from towpath.cli.options import refuse_beside
from towpath.cli.progress import progress, stage
from towpath.cli.revision import folder_of
from towpath.cli.server import NoAnswer
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.codes import Reason
from towpath.model.text import printable

if TYPE_CHECKING:
    from towpath.answers.access_change import Change
    from towpath.cli.cluster_manifests import Object
    from towpath.model.names import Account


CLUSTER = "cluster:"
"""What stands for the cluster of the kubeconfig; a folder of that name is `./cluster:`."""


@click.command(cls=SettingsCommand)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@setting_options(*(name for name in MESH if name != "manifests"))
@cluster_options
@as_served_option
@click.option(
    "--prune",
    is_flag=True,
    help=f"With `{CLUSTER}`, policies that the folder lacks go away, in the namespaces that it has "
    "objects of. Without --prune they stay.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json", "markdown")),
    default="text",
    show_default=True,
    help="Lines, one JSON document, or a table for a comment on a pull request.",
)
def diff(
    *,
    old: str,
    new: str,
    output: str,
    kubeconfig: Path,
    context: str,
    as_served: bool,
    prune: bool,
    **mesh: str,
) -> None:
    """Say what each service account could reach only before, or only after, a change.

    OLD and NEW are folders of manifests, or REVISION:FOLDER of the git repository around the
    current folder; one of them may be `cluster:`, the cluster of the kubeconfig. The other is then
    what that would hold with the folder applied to it; what the folder lacks stays, or, with
    --prune, goes away if it is a policy.

    What is compared is access, not lines of YAML: whole plans, by the same rules that sidecars
    receive, with the objects that make the difference. What only a cluster makes is assumed, as by
    `towpath problems`, and standard error says what. Exit code 0: access stays the same; 1: it
    changes; 2: OLD or NEW could not be read.
    """
    if old == new == CLUSTER:
        raise click.UsageError("OLD and NEW are the same cluster at the same moment")
    if CLUSTER not in (old, new):
        reason = f"neither OLD nor NEW is {CLUSTER}"
        refuse_beside("two folders", "kubeconfig", "context", "prune", reason=reason)
    with ExitStack() as stack:
        present = None
        if CLUSTER in (old, new):
            present = _cluster(kubeconfig, context, mesh["osm_namespace"])
        sides = Sides(stack, mesh, present, as_served=as_served, prune=prune)
        before, after = sides.read(old), sides.read(new)
        changes = _compared(before, after)
    click.echo(_OUTPUTS[output](changes))
    remark_assumptions({old: before, new: after})
    for name, side in ((old, before), (new, after)):
        assumed = {one.code for one in side.assumptions()}
        count = sum(one.code not in assumed for one in side.problems())
        if count:
            problems = "problem" if count == 1 else "problems"
            text = f"{name.removesuffix(':')}: {count} {problems}, listed by towpath problems"
            click.echo(text, err=True)
    raise SystemExit(1 if changes.by_change else 0)


def _cluster(kubeconfig: Path, context: str, osm_namespace: str) -> list[Object]:
    """The objects of the cluster; NoAnswer if they cannot be read."""
    # A second of imports that only this needs.
    from towpath.cli.cluster_manifests import read_cluster

    try:
        with stage("reading the cluster"):
            return on_cluster(kubeconfig, context, lambda api: read_cluster(api, osm_namespace))
    except click.ClickException as error:
        raise NoAnswer(f"{CLUSTER} {error.message}") from error


class Sides:
    """What is compared; *present* are the objects of the cluster, if one side is."""

    def __init__(
        self,
        stack: ExitStack,
        mesh: dict[str, str],
        present: list[Object] | None,
        *,
        as_served: bool,
        prune: bool,
    ) -> None:
        self._stack = stack
        self._mesh = mesh
        self._present = present
        self._as_served = as_served
        self._prune = prune

    def read(self, name: str) -> Offline:
        """One side; UsageError if it cannot be read."""
        if self._present is None:
            return self._read_folder(self._stack.enter_context(folder_of(name)), name)
        from towpath.cli.cluster_manifests import applied, write_manifests

        objects = self._present
        if name != CLUSTER:
            folder = self._stack.enter_context(folder_of(name))
            self._read_folder(folder, name)
            objects = applied(objects, folder, self._mesh["osm_namespace"], prune=self._prune)
        whole = tempfile.TemporaryDirectory(prefix="towpath-diff-")
        folder = Path(self._stack.enter_context(whole))
        write_manifests(objects, folder)
        return self._read_folder(folder, name)

    def _read_folder(self, folder: Path, name: str) -> Offline:
        """A folder; a file of it that cannot be read might say anything, so that nothing is
        compared without it.
        """
        with stage(f"reading {name}"):
            side = read_folder(folder, as_served=self._as_served, **self._mesh)
            unreadable = [one for one in side.problems() if one.reason is Reason.UNREADABLE]
        if unreadable:
            lines = "".join(f"\n  {problem}" for problem in unreadable)
            raise click.UsageError(
                f"{name} cannot be compared without what cannot be read: mend it first:{lines}"
            )
        return side


def _compared(before: Offline, after: Offline) -> Changes:
    comparison = Comparison(before.mesh, after.mesh)
    with progress(comparison.accounts, "service accounts") as accounts:
        for account in accounts:
            comparison.add(account, before.access(account), after.access(account))
    places = before.entrances | after.entrances
    comparison.add_outsiders(before.let_in(places), after.let_in(places))
    return comparison.changes()


def _text(changes: Changes) -> str:
    lines = [
        f"{who(change, accounts)} {sentence(change, len(accounts))}{because(change)}"
        for change, accounts in changes.by_change.items()
    ]
    return "\n".join([*lines, summary_line(changes)])


def _markdown(changes: Changes) -> str:
    if not changes.by_change:
        return f"**Access stays the same.** {summary_line(changes)}"
    rows = [
        "| {} | {} | {} |".format(
            *map(
                _cell,
                (
                    who(change, accounts),
                    sentence(change, len(accounts)),
                    ", ".join(change.because),
                ),
            )
        )
        for change, accounts in changes.by_change.items()
    ]
    head = ["| Service account | Access | Because of |", "|---|---|---|"]
    return "\n".join(["**Access changes.**", "", *head, *rows, "", summary_line(changes)])


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")


def _json(changes: Changes) -> str:
    return json.dumps(
        {
            "accounts": changes.accounts,
            "unchanged": changes.unchanged,
            "changes": [_item(*item) for item in changes.by_change.items()],
        },
        indent=2,
    )


def _item(change: Change, accounts: tuple[Account, ...]) -> dict[str, Any]:
    target = change.target
    return {
        "accounts": [str(one) for one in accounts],
        "caller": change.caller,
        "direction": change.direction.value,
        "service": target.service,
        "protocol": target.protocol,
        "host": target.host,
        "port": target.port,
        "addresses": target.block,
        "request": _request(change.request),
        "but": [_request(one) for one in change.but],
        "because": list(change.because),
        "text": sentence(change),
    }


def _request(request: Any) -> dict[str, Any]:
    return {
        "path": request.path,
        "methods": list(request.methods),
        "headers": dict(request.headers),
    }


_OUTPUTS: dict[str, Callable[[Changes], str]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
}
