"""RE2 expressions in Pipy's dialect: the same meaning, or refused."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from towpath.encode.sidecar.regex import NotPortable, on_path, on_value

CLASSES = ("[a-c]", "[^/]", "[^a?]", "[!-~]", "[\\w-]", "[?a]", "[\\]a^-]", "[a\\-c]")
ESCAPES = ("\\.", "\\/", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\b")
ATOMS = st.sampled_from(("a", "b", "/", ".", "-", "=", "$", "^", "]", "}", *CLASSES, *ESCAPES))
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?"])
EXPRESSIONS = st.recursive(
    st.lists(st.tuples(ATOMS, REPEATS).map("".join), max_size=4).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(st.sampled_from(["(", "(?:"]), inner, st.just(")"), REPEATS).map("".join),
        st.tuples(inner, inner).map("".join),
    ),
    max_leaves=4,
)
PATHS = st.text("ab/.c-=~1_ ]", max_size=6)
QUERIES = st.none() | st.text("ab/.?=", max_size=5)


def means(regex: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(regex, options)
    except re2.error:
        return False
    return True


@settings(max_examples=600, deadline=None)
@given(regex=EXPRESSIONS, path=PATHS, query=QUERIES)
def test_on_a_path_it_means_what_it_meant(regex: str, path: str, query: str | None) -> None:
    assume(means(regex))
    try:
        portable = on_path(regex)
    except NotPortable:
        return
    whole = path if query is None else f"{path}?{query}"

    assert bool(re2.fullmatch(regex, path)) == bool(re.search(portable, whole)), portable


@settings(max_examples=300, deadline=None)
@given(regex=EXPRESSIONS, value=st.text("ab/.c-=~1_ ?", min_size=1, max_size=6))
def test_on_a_value_it_means_what_it_meant(regex: str, value: str) -> None:
    assume(means(regex))
    try:
        portable = on_value(regex)
    except NotPortable:
        return

    assert bool(re2.fullmatch(regex, value)) == bool(re.search(portable, value)), portable


@pytest.mark.parametrize(
    ("regex", "portable"),
    [
        (".*", ".*"),
        ("/get", r"^(?:/get)(?:\?.*)?$"),
        ("/get|/status/[0-9]+", r"^(?:/get|/status/[0-9]+)(?:\?.*)?$"),
        ("/api/.*", r"^(?:/api/.*)(?:\?.*)?$"),
        ("/(a|b).*/c", r"^(?:/(a|b)[^?]*/c)(?:\?.*)?$"),
        (r"/x/[\w-]+/\d{4}$", r"^(?:/x/[0-9A-Za-z_\-]+/[0-9]{4}(?![^?]))(?:\?.*)?$"),
        ("/[^/]+", r"^(?:/[^/?]+)(?:\?.*)?$"),
    ],
)
def test_what_people_write_stays_readable(regex: str, portable: str) -> None:
    assert portable == on_path(regex)


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        ("(?i)/get", "'(?i)'"),
        ("(?P<x>a)", "'(?P<'"),
        ("[[:alpha:]]", "'[:' in a class"),
        (r"\pN", r"'\p'"),
        (r"\x41", r"'\x'"),
        (r"/a\?b", r"'\?'"),
        ("[?]", "a class of nothing but '?'"),
        (r"[\D]", r"'\D' in a class"),
        ("[]a]", "a class that begins with ']'"),
        ("[\\w-a]", "a range that begins with a class"),
        ("a{,3}", "'{' that begins no repetition"),
        ("^*", "'*' that repeats nothing"),
        ("/é", "a character that is not printable ASCII"),
        ("[a", "an end in the middle"),
    ],
)
def test_what_cannot_be_said_is_refused(regex: str, words: str) -> None:
    with pytest.raises(NotPortable, match=f"^{re.escape(words)}$"):
        on_path(regex)
