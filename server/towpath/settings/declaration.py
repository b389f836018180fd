"""A setting, as its group declares it: everything that the checks, `--help` and docs/operate.md say
of it is made from this one declaration.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple


class SettingsError(Exception):
    """A setting has a value that is not allowed, or settings contradict each other."""


class Form(NamedTuple):
    """What a text must look like: in words, and as a test of it."""

    words: str
    fits: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`type` is the annotation: `bool`, `int`, `float`, `str`, `Path | None`, or a `Literal` of the
    `choices`. `bounds` are the least and the greatest number allowed, in `unit`.
    """

    name: str
    type: Any
    default: Any
    help: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    form: Form | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def key(self) -> str:
        """Its name in a configuration file."""
        return self.flag[2:]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values allowed, if these are a few words."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is typing.Literal else ()

    @property
    def allowed(self) -> str:
        """Which values are; "" where every one is."""
        if self.bounds is not None:
            least, greatest = map(_number_text, self.bounds)
            return f"{least} to {greatest} {self.unit}".rstrip()
        if self.form is not None:
            return self.form.words
        return f"one of {', '.join(self.choices)}" if self.choices else ""

    def check(self, value: Any) -> None:
        """Raises SettingsError if *value* is not allowed."""
        if not self._fits(value):
            text = repr(value) if isinstance(value, str) else value
            raise SettingsError(f"{self.flag} is {text}: allowed is {self.allowed}")

    def _fits(self, value: Any) -> bool:
        if self.bounds is not None:
            least, greatest = self.bounds
            return bool(least <= value <= greatest)
        if self.form is not None:
            return self.form.fits(value)
        return not self.choices or value in self.choices


PREFIX = "TOWPATH_"

HOUR_S = (0, 3600)
"""Bounds of most times: seconds, up to an hour."""

_DECLARATION = "declaration"


def setting(
    default: Any,
    text: str,
    *,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    form: Form | None = None,
) -> Any:
    """A field of a group; *text* is a sentence for people."""
    declaration = {"help": text, "unit": unit, "bounds": bounds, "form": form}
    return field(default=default, metadata={_DECLARATION: declaration})


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Settings of one subject: the value that a part is built with. A bad one cannot be made."""

    title: ClassVar[str]

    def __post_init__(self) -> None:
        for one in declared(type(self)):
            one.check(getattr(self, one.name))
        self.check()

    def check(self) -> None:
        """Raises SettingsError if values that are allowed alone contradict each other."""


def declared(group: type[Group]) -> tuple[Setting, ...]:
    """The settings of a group, in the order of their declaration."""
    if group not in _DECLARED:
        types = typing.get_type_hints(group)
        _DECLARED[group] = tuple(
            Setting(
                name=one.name,
                type=types[one.name],
                default=one.default,
                **one.metadata[_DECLARATION],
            )
            for one in fields(group)
        )
    return _DECLARED[group]


_DECLARED: dict[type[Group], tuple[Setting, ...]] = {}
"""Each group's, once it was asked for."""


def _number_text(number: float) -> str:
    """A number for people: no needless decimals, and commas once there are five digits."""
    plain = f"{number:.15g}"
    return plain if len(plain) < 5 or not plain.isdecimal() else f"{int(plain):,}"
