"""RE2 expressions in Pipy's dialect: the same meaning, or refused."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.encode.pipy.backtracking import explodes
from towpath.encode.pipy.regex import Explosive, NotPortable, on_path, on_value
from towpath.model.paths import FOLDABLE

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


def plain(path: str) -> bool:
    """True if no server takes the path for another one."""
    _, *segments = path.split("/")
    dots = [not segment.strip(".") for segment in segments]
    return not (any(dots[:-1]) or (dots and dots[-1] and segments[-1]))


def means(regex: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(regex, options)
    except re2.error:
        return False
    return True


@settings(max_examples=examples(200))
@given(regex=EXPRESSIONS, path=PATHS, query=QUERIES)
def test_on_a_path_it_means_what_it_meant(regex: str, path: str, query: str | None) -> None:
    assume(means(regex))
    try:
        portable = on_path(regex)
    except (NotPortable, Explosive):
        return
    whole = path if query is None else f"{path}?{query}"

    meant = plain(path) and " " not in whole and re2.fullmatch(regex, path) is not None
    assert meant == bool(re.search(portable, whole)), portable


@settings(max_examples=examples(100))
@given(path=st.text("/.;%2eEfF5cCbB03x\\", max_size=8).map(lambda rest: f"/{rest}"))
def test_what_is_foldable_is_so_on_every_kind_of_sidecar(path: str) -> None:
    assert bool(re2.fullmatch(FOLDABLE, path)) != bool(re.search(on_path("/.*"), path))


@settings(max_examples=examples(100))
@given(regex=EXPRESSIONS, value=st.text("ab/.c-=~1_ ?", min_size=1, max_size=6))
def test_on_a_value_it_means_what_it_meant(regex: str, value: str) -> None:
    assume(means(regex))
    try:
        portable = on_value(regex)
    except (NotPortable, Explosive):
        return

    assert bool(re2.fullmatch(regex, value)) == bool(re.search(portable, value)), portable


@pytest.mark.parametrize(
    ("regex", "portable"),
    [
        ("/get", r"/get"),
        ("/get|/status/[0-9]+", r"/get|/status/[0-9]+"),
        ("/api/.*", r"/api/.*"),
        ("/(a|b).*/c", r"/(a|b)[^?]*/c"),
        (r"/x/[\w-]+/\d{4}$", r"/x/[0-9A-Za-z_\-]+/[0-9]{4}(?![^?])"),
        ("/[^/]+", r"/[^/?]+"),
    ],
)
def test_what_people_write_stays_readable(regex: str, portable: str) -> None:
    assert on_path(regex).endswith(rf"(?:{portable})(?:\?.*)?$")


FOLDED = (
    "/public/../admin",
    "/public/..",
    "/public/.",
    "/public/./admin",
    "/public//admin",
    "/public/...//",
    "/public/%2e%2e/admin",
    "/public/%2E./admin",
    "/public/..%2fadmin",
    "/public/..%252Fadmin",
    "/public/..%5cadmin",
    "/public/..\\admin",
    "/public/..;/admin",
    "/public/%3b",
    "/public/%00",
    "/public/#/../admin",
    "/public/x?y#z",
    "/public/caf\u00e9",
)


@pytest.mark.parametrize("path", FOLDED)
def test_a_path_that_a_server_may_fold_matches_no_expression_but_any(path: str) -> None:
    assert re.search(on_path("/public/.*"), path) is None
    is_http = "#" not in path and path.isascii()
    assert is_http == bool(re.search(on_path(".*"), path))


@pytest.mark.parametrize(
    "path",
    ["/public/", "/public/a.b/..c/d..", "/public/.git/x", "/public/%41%20", "/public/?../;#"[:-1]],
)
def test_a_path_that_only_looks_so_is_let_through(path: str) -> None:
    assert re.search(on_path("/public/.*"), path)


@pytest.mark.parametrize(
    "regex",
    [
        "/(a+)+b",
        "/(a*)*",
        "/(a|a)*b",
        "/(a|aa)+b",
        "/(a*b?)*c",
        "/(.*/)*x",
        "/(x+x+)+y",
        "/(?:[0-9]+,?)+x",
        "/(a{1,3}){2,}b",
        "/.*/.*/x",
        "/a*a*b",
        "/[^/]*.*x",
        "/x/.*/y/.*z",
    ],
)
def test_what_grows_out_of_proportion_is_not_sent(regex: str) -> None:
    with pytest.raises(Explosive, match=f"^{re.escape(regex)}$"):
        on_path(regex)
    with pytest.raises(Explosive):
        on_value(regex)


@pytest.mark.parametrize(
    "regex",
    [
        "",
        "/get|/status/[0-9]+",
        "/api/.*/status/.*",
        "/.*/public",
        "/v[0-9]+/users/[^/]+/orders/[^/]+",
        "/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "/a/.*|/b/.*/c/.*",
        "/(foo|foobar)/.*",
        "/[a-z]+(?:-[a-z]+)*",
        "/(?:[a-z]+/)*x",
        ".*\\.(?:css|js)",
    ],
)
def test_what_grows_in_proportion_is(regex: str) -> None:
    assert not explodes(regex)
    assert on_path(regex)


@pytest.mark.parametrize(
    "regex", ["/" + "(" * 60 + "a" + ")" * 60, "/a{300}", "/(a{100}b{100}){2}"]
)
def test_what_is_too_large_to_be_judged_is_refused(regex: str) -> None:
    with pytest.raises(NotPortable, match="expressions as large as this one"):
        on_path(regex)


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
