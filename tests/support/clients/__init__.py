"""gRPC's xDS clients in other languages than Python: what they are built from, and how."""

from __future__ import annotations

from support.clients.build import LANGUAGES, Language

__all__ = ["LANGUAGES", "Language"]
