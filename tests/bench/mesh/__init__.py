"""What a change costs in a mesh of many services, pods and sidecars, and how that grows."""
