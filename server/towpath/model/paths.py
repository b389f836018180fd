"""Paths that a server may read as another path, and what they match."""

from __future__ import annotations

ANY_PATH = ".*"
"""The one expression that matches every path, whatever a server makes of it."""

FOLDABLE = r"(?i).*(?:[;\\]|/\.*/|%(?:25)*(?:00|2e|2f|3b|5c)).*|.*/\.+"
"""An RE2 expression of the paths (without query) that are not in normal form.

`/public/../admin` fits `/public/.*` as it is sent, and is `/admin` to many a server; so are the
forms with `%2e`, `%2f`, `;` and `\\`, encoded once or several times, and `//`.
"""
