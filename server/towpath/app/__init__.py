"""The composition root: builds every part once and runs them together.

Knows nothing of the command line, and has no logic of its own. Begin with `serve`.
"""

from towpath.app.offline import Offline
from towpath.app.serve import serve

__all__ = ["Offline", "serve"]
