"""The door to people who read policies with kubectl: status and Events, written to the cluster.

Knows nothing of how policies are planned, or sidecars reached. Begin with `writer`.
"""

from towpath.status.writer import StatusWriter

__all__ = ["StatusWriter"]
