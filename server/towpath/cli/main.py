"""The command itself: what it is called, and which commands it has.

A command's file is imported when that command is typed: `--help` and completion need none.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from towpath import __version__

COMMANDS: Mapping[str, str] = {
    "serve": "Run the control plane: serve sidecars from a folder of manifests or a cluster.",
    "render": "Print the configuration of a sidecar: every resource, with its version.",
    "injection": "Print what pods and workloads become when they are injected with a sidecar.",
    "explain": "Say whether a request is allowed, out of the mesh or inside it, and why.",
    "diff": "Say what each service account could reach only before, or only after, a change.",
    "dashboard": "Show the mesh on a web page: sidecars, policies, problems, traffic, a map.",
    "observe": "Show what left the mesh and what was refused, as sidecars report it.",
    "audit": "Say what would be refused if egress passthrough were switched off now.",
    "suggest": "Write the smallest policies that would allow what `towpath audit` lists.",
    "problems": "List the problems of a folder of manifests, or of what a control plane has read.",
    "status": "List the policies of the control plane, and the objects that they refer to.",
    "sidecars": "List the sidecars connected to the control plane.",
    "config": "Print what a running sidecar is offered, and what of it it has acknowledged.",
    "install": "Install the control plane.",
    "upgrade": "Upgrade an installed control plane to this version.",
    "uninstall": "Remove the control plane, its MeshConfig, and the certificates that it issued.",
    "namespace": "Add namespaces to the mesh, remove them, or list them.",
    "check": "Check an installation: definitions, rights, replicas, switches, the authority, "
    "injected pods, and the sidecars of every replica (with --server, of that one).",
    "version": "Print the version of this command, and of the control planes in the cluster.",
    "support": "Look for a fault in a running server: a bundle for a report, tasks, memory, "
    "CPU, logs.",
    "bootstrap": "Print the bootstrap of an Envoy sidecar, for `envoy -c`, or of a gRPC client.",
    "certificates": "Issue certificates from the authority in the Secret towpath-ca, list them, "
    "rotate it.",
    "demo-certs": "Make certificates for tests and demos in DIR.",
    "completion": "Print the script that has a shell complete commands, options and their values.",
}
"""Each command, and the first sentence of its help."""


class Commands(click.Group):
    """A group whose commands are files of this package, imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's form
        """Their names, as people read them: what belongs together stands together."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"towpath.cli.{name}"), name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, by the sentences at hand."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, and the options."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=COMMANDS[name]) for name in names), *options]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="towpath")
def main() -> None:
    """A control plane for service-mesh sidecars: Kubernetes in, versioned snapshots out."""
