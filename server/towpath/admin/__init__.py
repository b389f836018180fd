"""The door for people and tools: the Inspector over gRPC; health, metrics and version over HTTP."""
