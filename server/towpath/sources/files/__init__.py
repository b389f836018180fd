"""The folder source: the YAML and JSON that `kubectl apply` takes, read and watched."""

from towpath.sources.files.source import FilesSource

__all__ = ["FilesSource"]
