"""The cluster source: every kind listed and watched on an API server, kept equal in the store."""

from towpath.sources.kube.source import KubeSource

__all__ = ["KubeSource"]
