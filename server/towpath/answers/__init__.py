"""Answers to questions of people: why a request is refused, what has become of a policy."""
