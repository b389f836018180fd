"""The door for people and tools: the Inspector and CSDS over gRPC; health, metrics and version over
HTTP.

Knows nothing of how an answer is worked out: it asks the hub, and puts what it says into messages.
Begin with `inspector`.
"""
