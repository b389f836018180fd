"""The process: its logs, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from towpath.settings.declaration import Form, Group, setting


def _is_endpoint(url: str) -> bool:
    """True for a URL without a path, and for none."""
    try:
        parts = urlsplit(url)
        port = parts.port  # ValueError if it is no port
    except ValueError:
        return False
    whole = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return not url or (whole and parts.path in ("", "/") and not parts.query + parts.fragment)


_ENDPOINT = Form("http://HOST:PORT or https://HOST:PORT", _is_endpoint)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSettings(Group):
    """What the process logs, and how long it takes to stop."""

    title: ClassVar[str] = "Process"

    shutdown_grace: float = setting(
        2.0,
        "How long open streams may take to finish when the server stops.",
        unit="seconds",
        bounds=(0, 3600),
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Log events of this level, and of more important ones."
    )
    otlp_endpoint: str = setting(
        "",
        "URL of an OpenTelemetry collector that takes OTLP over HTTP, such as "
        "http://localhost:4318: traces of changes are sent there. Needs the extra `tracing`.",
        form=_ENDPOINT,
    )
    log_format: Literal["text", "json"] = setting("text", "Form of a log line.")
