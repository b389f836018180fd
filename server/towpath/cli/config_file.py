"""`--config FILE`: settings from a file of YAML, by the names of their flags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from towpath.cli.settings import CONFIG_FAULT, CONFIG_VARIABLE
from towpath.settings import all_settings
from towpath.settings.environment import nearest

F = TypeVar("F", bound=Callable[..., Any])


class _Line(NamedTuple):
    """What one line of the file says."""

    number: int
    key: str
    text: str


def config_option(command: F) -> F:
    """Add `--config`; a command line and the environment come before it."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        callback=_use,
        expose_value=False,
        # Before the others, which take their values from it.
        is_eager=True,
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        help="File of settings (YAML), by the names of the flags: `canary-wait: 2`. The command "
        "line and the environment override it.",
    )(command)


def _use(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing:
        return
    ctx.default_map = values = dict[str, str]()
    try:
        for line in _lines(path):
            try:
                _take(ctx, line, values)
            except click.UsageError as error:
                text = f"{path}:{line.number}: {line.key}{error.message}"
                ctx.meta.setdefault(CONFIG_FAULT, click.UsageError(text, ctx))
    except click.UsageError as error:
        ctx.meta.setdefault(CONFIG_FAULT, click.UsageError(error.message, ctx))


def _take(ctx: click.Context, line: _Line, values: dict[str, str]) -> None:
    """Put the line's value with the others; UsageError if it is not allowed."""
    names = {setting.key: setting.name for setting in all_settings().values()}
    if line.key not in names:
        raise click.UsageError(f" is not a setting: {nearest(line.key, names)}")
    name = names[line.key]
    if name in values:
        raise click.UsageError(" is there twice")
    (param,) = (param for param in ctx.command.params if param.name == name)
    try:
        param.type_cast_value(ctx, line.text)
    except click.BadParameter as error:
        raise click.UsageError(f": {error.message}") from error
    values[name] = line.text


def _lines(path: Path) -> Iterator[_Line]:
    """Each setting, its value as the text that it would be in the environment; null is none."""
    # A dozen milliseconds of imports that only a command with a file needs.
    import yaml

    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise click.UsageError(f"{path}: {error}") from error
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise click.UsageError(f"{path}: it must be lines of NAME: VALUE")
    for key, value in root.value:
        number = key.start_mark.line + 1
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
            raise click.UsageError(f"{path}:{number}: it must be NAME: VALUE, with one value")
        if value.tag != "tag:yaml.org,2002:null":
            yield _Line(number, key.value, value.value)
