"""What tests with clients in other languages need here; `make clients` brings it."""

from __future__ import annotations

import os

from support.clients.build import LANGUAGES


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    if os.environ.get("TOWPATH_REQUIRE_CLIENTS") != "1":
        return "clients in other languages are no part of the gate: `make clients` runs them"
    missing = [language.name for language in LANGUAGES if not language.built()]
    if missing:
        return f"needs the clients in {', '.join(missing)}: `make clients` builds them"
    return ""
