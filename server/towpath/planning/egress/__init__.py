"""Egress policies planned: which apply (`rules`), what they add up to (`address_ranges`), where
that leads (`targets`), what is wrong with them (`problems`), and what becomes of one
request (`decide`).

Knows nothing of Kubernetes, Envoy or I/O. Begin with `rules`, then `plan`.
"""
