"""The time that people read. What needs it is given it, so that a test can give another."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, with the time zone UTC."""
    return datetime.now(UTC)
