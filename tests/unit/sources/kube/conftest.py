"""The fixture `follow`: a store that follows a scripted API server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from support.kube_store import Follow, following


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    return partial(following, folder=tmp_path)
