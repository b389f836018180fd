"""Schema: the names that the mappings of a custom resource may have, and what a misspelt one means.

A field that nobody knows was meant for something. So a mapping that has one is read with the field
in the place of the known one that it is most like, and counts as misspelt: what it would have
allowed stays closed, and what it names stays named.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SHOWN_CHARACTERS = 60
NOT_USED = "it is not used"


@dataclass(frozen=True, slots=True)
class Schema:
    """The names that a mapping may have: plain ones, and those that hold mappings in turn.

    A name in `sections` may hold one mapping or a list of them. What is inside a plain field
    is not looked at. `effect` says what becomes of a mapping with a name that is not known.
    """

    plain: frozenset[str] = frozenset()
    sections: Mapping[str, Schema] = field(default_factory=dict)
    effect: str = NOT_USED

    @classmethod
    def of(cls, *plain: str, effect: str = NOT_USED, **sections: Schema) -> Schema:
        return cls(frozenset(plain), sections, effect)

    @classmethod
    def of_object(cls, spec: Schema, *, effect: str = NOT_USED) -> Schema:
        """The schema of a whole object, of which only the spec is Towpath's to know."""
        return cls.of("apiVersion", "kind", "metadata", "status", effect=effect, spec=spec)

    @property
    def names(self) -> frozenset[str]:
        return self.plain | self.sections.keys()

    def nearest(self, name: str) -> str | None:
        """The known name most like *name*, letter case apart; None if nothing is like it."""
        folded = {field_name.lower(): field_name for field_name in sorted(self.names)}
        near = difflib.get_close_matches(shortened(name).lower(), folded, n=1)
        return folded[near[0]] if near else None

    def misspelt(self, raw: Mapping[str, object]) -> Iterator[str]:
        """The names in *raw* that are not known."""
        return (name for name in raw if name not in self.plain and name not in self.sections)


def shortened(name: str) -> str:
    """The name in the length that a message has room for."""
    return name[:_SHOWN_CHARACTERS]
