"""The door to people who read policies with kubectl: status and Events, written to the cluster."""

from towpath.status.writer import StatusWriter

__all__ = ["StatusWriter"]
