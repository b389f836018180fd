"""The door for people and tools: the Inspector and CSDS over gRPC; health, metrics and version over
HTTP.
"""
