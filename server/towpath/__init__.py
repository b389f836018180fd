"""Towpath: a control plane that streams versioned snapshots to service-mesh sidecars."""

__version__ = "0.1.0"
