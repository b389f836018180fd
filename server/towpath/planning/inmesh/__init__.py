"""In-mesh policies: who may call a service, where requests go, and who comes in from outside.

Knows nothing of Kubernetes, Envoy or I/O. Begin with `grants` (TrafficTargets), then `splits`;
`problems` says what of the policies could not be planned.
"""
