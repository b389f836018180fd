"""Command-line options, made from the settings' declarations."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
