"""Other objects that a policy names."""

from __future__ import annotations

from towpath.sources.decode.fields import Reader
from towpath.sources.decode.names import NameRule


def reference(reader: Reader, rule: NameRule, *, kind: str = "") -> tuple[str, str] | None:
    """The namespace and name of an object whose name goes by that rule, and of that kind, if one is
    given. None, and a Problem, for what cannot be used.
    """
    name, namespace = reader.text("name"), reader.text("namespace")
    if kind and reader.value("kind") != kind:
        reader.left_out("kind", reader.value("kind"), allowed=kind)
    elif not rule.holds(name):
        reader.left_out("name", name, allowed=rule.words)
    elif not NameRule.LABEL.holds(namespace):
        reader.left_out("namespace", namespace, allowed=NameRule.LABEL.words)
    elif not reader.misspelt:
        return namespace, name
    return None
