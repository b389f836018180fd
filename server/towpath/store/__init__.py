"""The only mutable picture of the cluster; sources write it, the hub takes immutable views."""

from towpath.store.store import Store

__all__ = ["Store"]
