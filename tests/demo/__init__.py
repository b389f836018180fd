"""`make demo`: pages of the manual replayed for a person, on a real Envoy."""
