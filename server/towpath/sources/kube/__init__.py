"""The cluster source: every kind listed and watched on an API server, kept equal in the store.

Knows nothing of what the objects mean. Begin with `source`, then `reflector`; `checkpoint` is for a
start while the API is away.
"""

from towpath.sources.kube.source import KubeSource

__all__ = ["KubeSource"]
