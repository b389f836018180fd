"""Turns "something changed" into "these sidecars have a new snapshot".

`Hub` takes a view of the store when its `Debounce` says so, has the `Queries` that may have changed
answered again (`compose` is the outermost of them), and has its `Publisher` put the snapshots into
the `Stream` of each sidecar and the `Watch` of who looks on. Sidecars that are to hold the same are
a `Group`, for which all is worked out once: `Followers` knows who is in which, and `Comparisons`
what is new for them, for `rollout`. `Turns` gives all who ask their share of the event loop. It
knows nothing of gRPC, of Kubernetes, or of what resources mean. Begin with `hub`, then `publisher`
and `queries`.
"""
