"""`towpath completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

NAME = "towpath"
VARIABLE = "_TOWPATH_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that has a shell complete commands, options and their values.

    For bash, `source <(towpath completion bash)` in ~/.bashrc; for zsh the same in ~/.zshrc; for
    fish, write it to ~/.config/fish/completions/towpath.fish.
    """
    described = get_completion_class(shell)
    assert described is not None
    click.echo(described(ctx.find_root().command, {}, NAME, VARIABLE).source())
