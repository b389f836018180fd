"""The folder source: the YAML and JSON that `kubectl apply` takes, read and watched.

Knows nothing of what the objects mean. Begin with `source`, then `folder`.
"""

from towpath.sources.files.source import FilesSource

__all__ = ["FilesSource"]
