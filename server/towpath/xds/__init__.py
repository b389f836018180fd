"""The xDS door: sidecars subscribe here and are streamed their snapshots.

`sotw` and `delta` are the protocol's two variants as state machines without I/O; `service` is
the only module that knows gRPC.
"""
