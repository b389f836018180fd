"""What mutual TLS costs: `make bench-mtls`."""
