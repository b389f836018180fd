"""Egress policies planned: which apply (`rules`), what they add up to (`zones`), where that leads
(`externals`), what is wrong with them (`problems`), and what becomes of one request (`decide`).
"""
