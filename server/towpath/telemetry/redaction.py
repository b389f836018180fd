"""Redaction: a text without what looks like a credential, wherever it came from.

By RE2, in time in proportion to the text: what is logged may quote anybody.
"""

from __future__ import annotations

import re2

PLACE = "[redacted]"
"""What stands in its place."""

_NAMES = (
    r"(?:password|passwd|secret|token|(?:api|private|access|secret)[-_]?key|client-key-data"
    r"|credential)"
)
_PATTERNS = (
    # A private key in PEM, also with its line ends as \n in JSON, and one whose end is missing.
    (
        r"(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
        r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)()"
    ),
    # The same encoded once more, as a Secret has it: LS0tLS1CRUdJTi is "-----BEGIN".
    r"()LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]{16,}()",
    # A token of three parts, as Kubernetes gives to pods, or its beginning.
    r"()\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,2}()",
    r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}()",
    # The user's part of a URL, which ends at the last @ before the path; a password may have a
    # raw / in it, where the path only seems to begin: so first, behind a colon, at the last @.
    r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:\"']*:)[^\s\"']*(@)",
    r"(?i)(\b[a-z][a-z0-9+.-]*://)[^\s/\"']+(@)",
    # NAME=value and "name": "value", where the name ends with a word for a secret: in quotes
    # of either kind, in those of JSON within JSON, or without.
    rf"(?is)({_NAMES}\"?\s*[=:]\s*\")(?:[^\"\\]|\\.)+()",
    rf"(?is)({_NAMES}'?\s*[=:]\s*')(?:[^'\\]|\\.|'')+()",
    rf"(?i)({_NAMES}(?:\\+\")?\s*[=:]\s*\\+\")[^\"\\]+()",
    rf"(?i)({_NAMES}\s*=\s*)[^\s,;&\"'\\]+()",
    # As in YAML; behind other names stands what is wrong with them more often than a secret.
    r"(?i)((?:password|passwd|client-key-data)\s*:\s*)[^\s,;&\"'\\]+()",
)
"""Each with what stands before the credential, and behind it."""

_RULES = tuple(re2.compile(pattern) for pattern in _PATTERNS)
_ANY = re2.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
"""Nearly every line has nothing, which this tells in one pass."""


def redacted(text: str) -> str:
    """The text with `[redacted]` in the place of each private key, token and password."""
    if _ANY.search(text):
        for rule in _RULES:
            text = rule.sub(_replaced, text)
    return text


def _replaced(match: re2.Match) -> str:
    return f"{match[1]}{PLACE}{match[2]}"
