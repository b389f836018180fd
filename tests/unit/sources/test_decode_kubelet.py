"""The path that the kubelet sends for one that is given; what is expected is what Go 1.26 sends."""

from __future__ import annotations

import pytest

from towpath.sources.decode.kubelet import called_path


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, "/"),
        ("", "/"),
        ("ready", "/ready"),
        ("/warm up", "/warm%20up"),
        ("/größe", "/gr%C3%B6%C3%9Fe"),
        # What is encoded stays as it is, unless something else has to be.
        ("/%7euser/%c3%b6", "/%7euser/%c3%b6"),
        ("/%7euser/%c3%b6 x", "/~user/%C3%B6%20x"),
        ("/a(b)*!'[c]", "/a(b)*!'[c]"),
        ("/a(b)*!'[c]|", "/a%28b%29%2A%21%27%5Bc%5D%7C"),
        ("/%2F/%25", "/%2F/%25"),
        ('/"<>^`{}\\', "/%22%3C%3E%5E%60%7B%7D%5C"),
        # What is no URL is sent as a path, as it stands.
        ("/100%", "/100%25"),
        ("/50%?full=1#top", "/50%25%3Ffull=1%23top"),
        ("/a\x7f?b", "/a%7F%3Fb"),
        ("a b/c:d", "/a%20b/c:d"),
        ("1:2/%41 ", "/1:2/%2541%20"),
        ("/a#%", "/a%23%25"),
        ("//other.test:80/x", "/x"),
        ("//other.test", "/"),
        ("///x", "///x"),
        ("*", "/*"),
    ],
)
def test_a_path_is_encoded_as_the_kubelet_does(given: str | None, sent: str) -> None:
    assert (sent, "") == called_path(given)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("/a?", ("/a", "?")),
        ("/a?full=1&x=%41", ("/a", "?full=1&x=%41")),
        ("/a?b c#d", ("/a", "?b%20c")),
        ("?#", ("/", "?")),
        ("/a#b?c", ("/a", "")),
    ],
)
def test_a_query_is_apart_and_a_fragment_is_not_sent(given: str, sent: tuple[str, str]) -> None:
    assert sent == called_path(given)


def test_half_a_character_is_no_fault() -> None:
    assert ("/a%5Cud800", "") == called_path("/a\ud800")
