"""Command-line options, made from the settings' declarations."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from towpath.model.names import ClientKind
from towpath.settings import Settings, setting_help

F = TypeVar("F", bound=Callable[..., Any])

_TYPES: dict[Any, click.ParamType[Any]] = {
    Path | None: click.Path(path_type=Path),
    int: click.INT,
    str: click.STRING,
    float: click.FLOAT,
    bool: click.BOOL,
}


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


def setting_options(*names: str) -> Callable[[F], F]:
    """Add the options of these settings to a command (of all settings, if none is named)."""
    declared = {field.name: field for field in dataclasses.fields(Settings)}
    types = typing.get_type_hints(Settings)

    def decorate(command: F) -> F:
        for name in reversed(names or tuple(declared)):
            field = declared[name]
            flag = "--" + name.replace("_", "-")
            if field.default is True:
                flag += f"/--no-{flag[2:]}"
            click.option(
                flag,
                name,
                type=_TYPES[types[name]],
                is_flag=types[name] is bool,
                default=field.default,
                show_default=field.default is not None,
                envvar=f"TOWPATH_{name.upper()}",
                show_envvar=True,
                help=setting_help(field),
            )(command)
        return command

    return decorate
