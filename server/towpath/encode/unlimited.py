"""The number that lifts a limit in xDS."""

from __future__ import annotations

UNLIMITED = 0xFFFFFFFF
"""The largest uint32: without it, 1024 is what Envoy and gRPC take for a limit."""
