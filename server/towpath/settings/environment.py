"""Environment variables that look like settings, and are not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from towpath.settings.declaration import PREFIX, SettingsError
from towpath.settings.settings import all_settings

OF_OTHERS = re.compile(r"TOWPATH_(?:CLIENT|AGENT|OSM_COMMAND|REQUIRE|FUZZ|TEST)(?:_.*)?")
"""What the other commands, the agent of Pipy and the tests read."""

_SERVICE_HOST = "_SERVICE_HOST"


def refuse_unknown(environment: Mapping[str, str], *more: str) -> None:
    """SettingsError if a TOWPATH_… variable is neither a setting's nor one of *more*."""
    names = {s.variable for s in all_settings().values()}.union(more)
    links = _service_links(environment)
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in names:
            if OF_OTHERS.fullmatch(name) or links.fullmatch(name):
                continue
            raise SettingsError(f"{name} is not a setting: {nearest(name, names)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """A question, or a hint, for whoever wrote *name*."""
    # Without the prefix: every name would be alike by it.
    by_rest = {one.removeprefix(PREFIX): one for one in names}
    rests = difflib.get_close_matches(name.removeprefix(PREFIX), sorted(by_rest), n=1)
    return f"did you mean {by_rest[rests[0]]}?" if rests else "`towpath serve --help` lists all"


def _service_links(environment: Mapping[str, str]) -> re.Pattern[str]:
    """What Kubernetes tells a pod of the Services in its namespace: of one of the name towpath, in
    TOWPATH_SERVICE_HOST, TOWPATH_PORT, TOWPATH_PORT_15128_TCP_ADDR and others.
    """
    services = [
        re.escape(name.removesuffix(_SERVICE_HOST))
        for name in environment
        if f"{name}_".startswith(PREFIX) and name.endswith(_SERVICE_HOST)
    ]
    ports = r"PORT(?:_\d+_[A-Z]+(?:_(?:PROTO|PORT|ADDR))?)?"
    return re.compile(rf"(?:{'|'.join(services) or '(?!)'})_(?:SERVICE_(?:HOST|PORT.*)|{ports})")
