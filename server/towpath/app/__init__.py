"""The composition root: builds every part once and runs them together."""

from towpath.app.offline import Offline
from towpath.app.serve import serve

__all__ = ["Offline", "serve"]
