"""Options that exclude each other, and types of options that several commands have."""

from __future__ import annotations

import click
from click.core import ParameterSource

from towpath.model.names import ClientKind


class ClientKindType(click.Choice[str]):
    """A kind of client, by the word that people use."""

    def __init__(self) -> None:
        super().__init__([kind.value for kind in ClientKind])

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ClientKind:
        return ClientKind(super().convert(value, param, ctx))


def typed(*names: str) -> list[str]:
    """The flags of those of the current command's options that stand on its command line."""
    context = click.get_current_context()
    return [
        option.secondary_opts[-1]
        if option.secondary_opts and context.params.get(option.name) is False
        else option.opts[-1]
        for option in context.command.params
        if option.name in names
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]


def refuse_beside(chosen: str, *names: str, reason: str) -> None:
    """UsageError if one of the options *names* was typed although *chosen* leaves it no use.

    What the environment says is a default, and gives way without a word.
    """
    if flags := typed(*names):
        raise click.UsageError(f"{', '.join(flags)}: not with {chosen}: {reason}")
