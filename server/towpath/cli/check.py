"""`towpath check`: is all well with an installation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.cli.place import Cluster, Place
from towpath.cli.replicas import replicas_of
from towpath.cli.server import Server, server_option
from towpath.clock import utc_now
from towpath.model.text import printable
from towpath.model.types import short_name
from towpath_api.v1 import inspector_pb2 as pb

if TYPE_CHECKING:
    from towpath.install.check import Finding
    from towpath.kubeapi.client import KubeApi

STALE_AFTER_S = 10.0
"""A sidecar that has not answered for this long holds an older configuration."""
_COLOURS = {"ok": "green", "FAIL": "red", "?": "yellow"}


@click.command()
@cluster_options
@namespace_option
@server_option(default=None, beside=False)
def check(*, kubeconfig: Path, context: str, osm_namespace: str, server: Server | None) -> None:
    """Check an installation: definitions, rights, replicas, switches, the authority, injected pods,
    and the sidecars of every replica (with --server, of that one).

    Exit code 0: healthy; 1: something is wrong, and the output names it.
    """
    from towpath.inject.survey import survey
    from towpath.install.check import Verdict
    from towpath.install.check import check as look

    async def act(api: KubeApi) -> list[Finding]:
        findings = [*await look(api, osm_namespace), await _authority(api, osm_namespace)]
        return [*findings, await survey(api, osm_namespace)]

    findings = [
        *on_cluster(kubeconfig, context, act),
        _sidecars(server or Cluster(kubeconfig, context, osm_namespace)),
    ]
    for finding in findings:
        # click leaves colours out where output is no terminal.
        verdict = click.style(f"{finding.verdict:4}", fg=_COLOURS[finding.verdict])
        click.echo(f"{verdict}  {finding.subject:13}  {printable(finding.text)}")
        for detail in finding.details:
            click.echo(printable(f"        {detail}"))
    raise SystemExit(any(finding.verdict is Verdict.BAD for finding in findings))


async def _authority(api: KubeApi, namespace: str) -> Finding:
    """Whether there is one that gives sidecars certificates, and until when."""
    from towpath.ca.mesh_authority import NoAuthority, present_authority
    from towpath.install.check import Finding, Verdict
    from towpath.kubeapi.client import KubeApiError

    try:
        authority = await present_authority(api, namespace, clock=utc_now)
    except NoAuthority as error:
        return Finding("authority", Verdict.BAD, str(error))
    except KubeApiError as error:
        if not error.forbidden:
            raise
        return Finding("authority", Verdict.UNKNOWN, f"you may not look at it: {error}")
    count, end = len(authority.roots), authority.expires_at
    roots = "root" if count == 1 else "roots"
    text = f"signs until {end:%Y-%m-%dT%H:%M:%SZ}; sidecars trust {count} {roots}"
    return Finding("authority", Verdict.OK, text)


def _sidecars(place: Place) -> Finding:
    """What the replicas say of theirs; not known if a port-forward to one fails."""
    from towpath.install.check import Finding, Verdict

    try:
        with replicas_of(place) as replicas:
            answers = replicas.ask(lambda stub: stub.ListSidecars, pb.ListSidecarsRequest())
    except click.ClickException as error:
        if isinstance(place, Server):
            return Finding("sidecars", Verdict.BAD, error.message)
        text = "not checked: no replica answers (docs/cli.md says what that takes):"
        return Finding("sidecars", Verdict.UNKNOWN, text, tuple(error.message.splitlines()))
    sidecars = [one for answer in answers.messages.values() for one in answer.sidecars]
    wrong = [
        f"{sidecar.node_id} {fault}"
        for sidecar in sidecars
        for delivery in sidecar.deliveries
        if (fault := _wrong(delivery, now=time.time()))
    ]
    count = len(sidecars)
    if wrong:
        text = f"{count} connected; stale or rejecting:"
        return Finding("sidecars", Verdict.BAD, text, tuple(wrong))
    if answers.faults:
        silent = tuple(f"{name}: no answer: {fault}" for name, fault in answers.faults.items())
        text = f"{count} connected, all up to date; not all replicas answer:"
        return Finding("sidecars", Verdict.UNKNOWN, text, silent)
    return Finding("sidecars", Verdict.OK, f"{count} connected, all up to date")


def _wrong(delivery: pb.Delivery, *, now: float) -> str:
    """What is wrong with what a sidecar holds of one type; "" if nothing."""
    kind = short_name(delivery.type_url)
    if not delivery.HasField("sent") or delivery.acknowledged.version == delivery.sent.version:
        return ""
    if delivery.HasField("rejected") and delivery.rejected.version == delivery.sent.version:
        return f"rejects {kind}: {delivery.rejected.message}"
    silent = now - delivery.sent.at.seconds
    return f"has not answered {kind} for {silent:.0f} s" if silent > STALE_AFTER_S else ""
