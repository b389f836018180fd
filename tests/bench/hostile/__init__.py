"""What an adversary can cost the server: one module for each attack, run by `make bench-hostile`.

A module has `measure() -> list[Row]`: it prints nothing, judges nothing, and ends what it started.
"""
