"""What several tests of a server's features share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an agent and its Pipy have their files."""
    created = tmp_path / "pipy"
    created.mkdir()
    return created
