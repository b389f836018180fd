"""The Kubernetes API over HTTP: configuration, authentication and TLS by the official client.

Nothing is imported here: the client takes a second, and a folder is served without it. It knows
nothing of what the objects mean. Begin with `client`.
"""
