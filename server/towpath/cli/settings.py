"""The settings as options of a command: types, environment, `--help` by group."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.types import OptionHelpExtra

from towpath.settings import Setting, SettingsError, all_settings, declared, groups
from towpath.settings.environment import refuse_unknown

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_VARIABLE = "TOWPATH_CONFIG"
CONFIG_FAULT = f"{__name__}.config_fault"
"""Where a context has what is wrong with a file of settings, until the form of logs is known."""

_SHORT = {"osm_namespace": ("-n",)}
"""As kubectl has it: the namespace of what a command is about, the control plane."""

_PLAIN_TYPES: dict[Any, click.ParamType[Any]] = {
    Path | None: click.Path(path_type=Path),
    bool: click.BOOL,
    str: click.STRING,
}


class CheckedType(click.ParamType[Any]):
    """A number or a text that its setting's declaration has to allow."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        number = "" if setting.bounds is None else "number"
        self.name = setting.unit if setting.unit.isalpha() else number or "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value in the setting's own type."""
        try:
            converted = self._setting.type(value)
            self._setting.check(converted)
        except (ValueError, SettingsError):
            self.fail(f"it is {value}, allowed is {self._setting.allowed}", param, ctx)
        return converted


class SettingOption(click.Option):
    """The option of a setting; `--help` says what is allowed."""

    def __init__(self, param_decls: Sequence[str], *, setting: Setting) -> None:
        self._setting = setting
        *short, flag = param_decls
        if setting.default is True:
            flag += f"/--no-{flag[2:]}"
        super().__init__(
            [*short, flag, setting.name],
            type=_type(setting),
            is_flag=setting.type is bool,
            default=setting.default,
            show_default=setting.default not in (None, ""),
            envvar=setting.variable,
            show_envvar=True,
            help=setting.help,
            # A command line that cannot be read is answered in this form already.
            is_eager=setting.name == "log_format",
        )

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Also the range of a number, or the form of a text."""
        extra = super().get_help_extra(ctx)
        if self._setting.bounds is not None:
            extra["default"] = f"{self._setting.default:g}"
        if isinstance(self.type, CheckedType):
            extra["range"] = self._setting.allowed
        return extra


class SettingsCommand(click.Command):
    """A command with settings: `--help` has them by group, and no TOWPATH_… variable is ignored."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; UsageError also for a file's fault, or a variable that no setting has."""
        rest = super().parse_args(ctx, args)
        if CONFIG_FAULT in ctx.meta:
            raise ctx.meta[CONFIG_FAULT]
        if not ctx.resilient_parsing:
            try:
                refuse_unknown(os.environ, CONFIG_VARIABLE)
            except SettingsError as error:
                raise click.UsageError(str(error), ctx) from error
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """First the options of this command alone, then a section for each group."""
        options = {param.name: param for param in self.get_params(ctx)}
        sections = [
            (group.title, [options.pop(s.name) for s in declared(group) if s.name in options])
            for group in groups().values()
        ]
        for title, params in (("Options", list(options.values())), *sections):
            _section(ctx, formatter, title, params)


def _section(
    ctx: click.Context,
    formatter: click.HelpFormatter,
    title: str,
    params: Sequence[click.Parameter],
) -> None:
    records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def setting_options(*names: str) -> Callable[[F], F]:
    """Add the options of these settings to a command (of all settings, if none is named)."""
    settings = all_settings()

    def decorate(command: F) -> F:
        for name in reversed(names or tuple(settings)):
            one = settings[name]
            flags = (*_SHORT.get(name, ()), one.flag)
            click.option(*flags, cls=SettingOption, setting=one)(command)
        return command

    return decorate


def setting_type(name: str) -> click.ParamType[Any]:
    """What an option takes that is not that setting, and has a value of its sort."""
    return _type(all_settings()[name])


def _type(setting: Setting) -> click.ParamType[Any]:
    if setting.choices:
        return click.Choice(setting.choices)
    if setting.bounds is not None or setting.form is not None:
        return CheckedType(setting)
    return _PLAIN_TYPES[setting.type]
