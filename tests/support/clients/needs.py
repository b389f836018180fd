"""What tests with clients in other languages need here; `make clients` brings it."""

from __future__ import annotations

from support.clients.build import LANGUAGES


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    missing = [language.name for language in LANGUAGES if not language.built()]
    if missing:
        return f"needs the clients in {', '.join(missing)}: `make clients` builds and runs them"
    return ""
