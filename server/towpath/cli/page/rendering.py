"""HTML of what a page shows: every text is escaped, and fit for a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from towpath import __version__
from towpath.cli.listing import age
from towpath.cli.messages import line_of
from towpath.cli.page.health import Health
from towpath.cli.page.view import View, link
from towpath.model.names import ClientKind, Protocol
from towpath.model.text import printable, shorten
from towpath.model.types import short_name
from towpath.observe.flow import Flow
from towpath_api.v1 import inspector_pb2 as pb

SECTIONS = (
    ("", "Overview"),
    ("sidecars", "Sidecars"),
    ("policies", "Policies"),
    ("problems", "Problems"),
    ("explain", "Explain"),
    ("traffic", "Traffic"),
    ("map", "Map"),
)
"""What the navigation has: the address of each, and its name."""

OUTCOMES = {
    pb.Sidecar.ACCEPTED: ("ok", "good"),
    pb.Sidecar.UNANSWERED: ("waiting", "pending"),
    pb.Sidecar.REJECTING: ("rejecting", "bad"),
    pb.Sidecar.POD_UNKNOWN: ("waiting for pod", "pending"),
    pb.Sidecar.OUTCOME_UNSPECIFIED: ("unknown", ""),
}


class Renderer:
    """Makes HTML for the page below *root*; *now* gives seconds of the epoch."""

    def __init__(self, root: str, *, now: Callable[[], float]) -> None:
        self._root = root
        self._now = now
        self._environment = Environment(
            loader=PackageLoader("towpath.cli.page"),
            autoescape=True,
            finalize=_finalize,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            root=root,
            link=self._link,
            sections=SECTIONS,
            version=__version__,
            outcome=OUTCOMES.__getitem__,
            kind_of=_kind,
            url_of=_url,
        )
        self._environment.filters.update(
            ago=self._ago,
            time=_time,
            count=_count,
            short_type=short_name,
            line=line_of,
            shorten=shorten,
            multiline=_multiline,
            version_text=lambda text: text[:8],
        )

    def html(self, view: View, health: Health, at: str) -> str:
        """The whole page, for the address *at* below the root."""
        values = {
            "title": view.title,
            "is_live": view.live,
            "silence": "" if health.fault else view.silence,
            "unanswered": bool(health.fault or view.silence),
            "health": health,
            "at": at,
        }
        return self._environment.get_template(view.template).render(values | dict(view.values))

    def _link(self, path: str, /, **query: str | int) -> str:
        return self._root + link(path, **query)

    def _ago(self, seconds: float) -> str:
        return f"{age(self._now() - seconds)} ago"


def _finalize(value: object) -> object:
    """No text moves a cursor, ends a line or turns its direction."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value)


def _multiline(text: str) -> Markup:
    """The same for a text of several lines, which stay lines."""
    return Markup("\n").join(printable(line) for line in text.splitlines())


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _count(number: int, noun: str = "", plural: str = "") -> str:
    text = f"{number:,}"
    if not noun:
        return text
    return f"{text} {noun}" if number == 1 else f"{text} {plural or noun + 's'}"


def _url(flow: Flow) -> str:
    """Where it went, as `explain` takes it."""
    place = f"{flow.target}:{flow.port}"
    return place if flow.protocol is Protocol.TCP else f"{flow.protocol}://{place}/"


def _kind(sidecar: pb.Sidecar) -> str:
    names: Sequence[str] = [kind.name for kind in ClientKind]
    name = pb.Sidecar.ClientKind.Name(sidecar.client_kind)
    return name.lower() if name in names else "unknown"
