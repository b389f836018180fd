"""What the protocol's conformance suite is made of: clients, contents, and servers to test."""
