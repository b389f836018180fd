"""The agent of a Pipy sidecar: takes its configuration, hands it over, and says how it went.

Run as `towpath-agent`; see `main`.
"""
