"""The door to a cluster that is to run Towpath: its own manifests, applied, looked at, removed."""
