"""The wire contract: `towpath.v1` messages and services, generated from the protos in `v1`."""
