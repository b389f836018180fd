"""What `install`, `upgrade` and `uninstall` have in common: options, and the steps on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from towpath.cli.options import refuse_beside
from towpath.install.keys import KEYS
from towpath.install.values import ValueRefused, Values, parse

if TYPE_CHECKING:
    from towpath.install.survey import Entry
    from towpath.kubeapi.client import KubeApi

F = TypeVar("F", bound=Callable[..., Any])

ESTABLISHED_WITHIN_S = 60.0

_NAMES = "\n\n".join(f"{name}: {key.text} ({key.allowed})" for name, key in sorted(KEYS.items()))
SET_HELP = f"""\b
What --set takes, by the names of Open Service Mesh's chart:

{_NAMES}"""

others_option = click.option(
    "--allow-other-meshes",
    is_flag=True,
    help="Continue although another control plane is in the cluster; its objects are not changed.",
)


def rollout_options(command: F) -> F:
    """Add what `install` and `upgrade` have in common."""
    for option in (
        click.option(
            "--timeout",
            default=300.0,
            show_default=True,
            help="How long --wait waits at most. In seconds.",
        ),
        click.option("--wait", is_flag=True, help="Return when every replica is available."),
        click.option("--dry-run", is_flag=True, help="Print the manifests as YAML; apply nothing."),
        others_option,
        click.option(
            "--take-ownership",
            is_flag=True,
            help="Replace the definitions and the MeshConfig preset that a removed mesh has left.",
        ),
        click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="See above."),
    ):
        command = option(command)
    return command


def check_rollout(*, dry_run: bool, wait: bool) -> None:
    """UsageError for options of `rollout_options` that would have no effect."""
    if dry_run:
        refuse_beside("--dry-run", "wait", "timeout", reason="it applies nothing")
    if not wait:
        refuse_beside("no --wait", "timeout", reason="it is for --wait")


def read_values(pairs: tuple[str, ...], start: Values) -> Values:
    try:
        return parse(pairs, start)
    except ValueRefused as error:
        raise click.BadParameter(str(error), param_hint="--set") from error


async def surveyed(
    api: KubeApi,
    values: Values,
    documents: list[dict[str, Any]],
    *,
    allow_others: bool,
    take: bool,
) -> list[Entry]:
    """What is to be done with each object; ClickException if others are in the way."""
    from towpath.install.others import other_control_planes
    from towpath.install.survey import Conflict, check_others, refuse_release, survey

    others = await other_control_planes(api, values.osm_namespace)
    try:
        await refuse_release(api, values.osm_namespace, nothing="changed")
        check_others(others, values, allowed=allow_others)
        return await survey(api, documents, others, take=take)
    except Conflict as error:
        raise click.ClickException(str(error)) from error


async def apply_all(api: KubeApi, entries: list[Entry]) -> None:
    """Apply the definitions, wait until they are established, apply the rest; say each."""
    from towpath.install.survey import DEFINITION, Conflict
    from towpath.install.waiting import NotInTime, established, served

    definitions = [one for one in entries if one.document["kind"] == DEFINITION]
    try:
        for entry in definitions:
            await _carry_out(api, entry)
        documents = [entry.document for entry in definitions]
        await established(api, documents, within_s=ESTABLISHED_WITHIN_S)
        await served(api, documents, within_s=ESTABLISHED_WITHIN_S)
        for entry in entries:
            if entry not in definitions:
                await _carry_out(api, entry)
    except (NotInTime, Conflict) as error:
        raise click.ClickException(str(error)) from error


async def _carry_out(api: KubeApi, entry: Entry) -> None:
    from towpath.install.objects import apply, title
    from towpath.install.survey import Step
    from towpath.install.takeover import take_over

    done, reason = "kept", f" ({entry.owner})"
    if entry.step is Step.APPLY:
        done, reason = await apply(api, entry.document), ""
    elif entry.step is Step.TAKE:
        await take_over(api, entry.document, entry.record)
        done, reason = "taken", f" ({entry.owner} before)"
    click.echo(f"  {done:9} {title(entry.document)}{reason}")


async def wait_for_rollout(api: KubeApi, values: Values, *, within_s: float) -> None:
    from towpath.install.installed import deployment
    from towpath.install.waiting import NotInTime, rolled_out

    click.echo("Waiting until every replica is available …")
    try:
        await rolled_out(api, deployment(values.osm_namespace), within_s=within_s)
    except NotInTime as error:
        raise click.ClickException(str(error)) from error
    click.echo("Every replica is available.")
