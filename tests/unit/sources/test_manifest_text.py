"""YAML and JSON text: what is taken, what is refused, and at which line."""

from __future__ import annotations

import os
from typing import Any

import pytest

from towpath.sources.files.document import Unreadable
from towpath.sources.files.jsontext import parse_json
from towpath.sources.files.manifest import LARGEST_FILE, read_manifest
from towpath.sources.files.yamltext import MOST_ALIASED_NODES, parse_yaml


def values(text: str) -> list[object]:
    return [document.value for document in parse_yaml(text.encode())]


def refusal(text: str | bytes, name: str = "a.yaml") -> tuple[int, str]:
    with pytest.raises(Unreadable) as caught:
        read_manifest(name, text if isinstance(text, bytes) else text.encode())
    return caught.value.line, caught.value.reason


def test_each_document_knows_the_line_it_starts_at() -> None:
    documents = parse_yaml(b"# first\n\na: 1\n---\n# second\nb: 2\n")

    assert [(d.value, d.line) for d in documents] == [({"a": 1}, 3), ({"b": 2}, 6)]


def test_each_item_of_a_list_knows_its_line() -> None:
    (document,) = parse_yaml(b"kind: List\nitems:\n- kind: A\n  x: {}\n- kind: B\n")
    assert isinstance(document.value, dict)

    assert [document.line_of(item) for item in document.value["items"]] == [3, 5]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "---\n---\n", "---\n# a\n...\n"]
)
def test_empty_documents_are_passed_over(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("off", False),
        ("No", False),
        ("~", None),
        ("null", None),
        ("80", 80),
        ("-1", -1),
        ("0x1F", 31),
        ("0644", 420),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("10.0.0.1", "10.0.0.1"),
        ("truely", "truely"),
        ('"80"', "80"),
        ("'true'", "true"),
        ("!!str 80", "80"),
        ('!!int "80"', 80),
        ("=", "="),
        ("9" * 5000, float("inf")),
    ],
)
def test_a_plain_word_means_what_kubectl_takes_it_for(word: str, value: object) -> None:
    assert values(f"a: {word}") == [{"a": value}]


def test_keys_are_text_whatever_they_look_like() -> None:
    assert values("{1: a, true: b, null: c}") == [{"1": "a", "true": "b", "null": "c"}]


def test_aliases_and_merges_repeat_what_they_stand_for() -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [*a, {z: 4}]}\n"

    a = {"x": 1, "y": 2}
    expected = {"a": a, "b": a, "c": {"x": 1, "y": 3}, "d": {"x": 1, "y": 2, "z": 4}}
    assert values(text) == [expected]


def test_a_bomb_of_aliases_is_refused() -> None:
    text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    for n in range(1, 12):
        text += f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n"

    line, reason = refusal(text)

    assert (line, reason) == (5, f"the aliases stand for more than {MOST_ALIASED_NODES:,} values")


def test_the_bound_on_aliases_holds_for_all_documents_of_a_file_together() -> None:
    one = "a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 60 + "]\n---\n"

    assert len(values(one)) == 1
    assert refusal(one * 2)[1].startswith("the aliases stand for more than")


def test_a_large_file_without_aliases_is_read() -> None:
    (value,) = values("[" + "x," * (2 * MOST_ALIASED_NODES) + "]")

    assert isinstance(value, list)
    assert len(value) == 2 * MOST_ALIASED_NODES


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 'the key "a" is there twice in one mapping'),
        ('a: 1\n"a": 2\n', 2, 'the key "a" is there twice in one mapping'),
        ("b:\n  a: &x [*x]\n", 2, "the alias *x stands for itself, or for nothing"),
        ("a: &x 1\nb: &x {c: *x}\n", 2, "the alias *x stands for itself, or for nothing"),
        ("a: *nobody\n", 1, "the alias *nobody stands for itself, or for nothing"),
        ("x: 1\n? [a, b]\n: 1\n", 2, "a key must be text, not a mapping or a list"),
        ("a: &a [1]\n*a : 2\n", 2, "a key must be text; the alias *a is not"),
        ("x: 1\n?\n: 2\n", 2, "a key is empty"),
        (
            "a: !!python/object:os.system x\n",
            1,
            "the tag tag:yaml.org,2002:python/object:os.system",
        ),
        ("a: !mine [1]\n", 1, "the tag !mine is not allowed"),
        ("a: !!int many\n", 1, '"many" is not of the type !!int'),
        ("a: {<<: 1}\n", 1, "only mappings can be merged with <<"),
        ("a:\n\tb: 1\n", 2, "while scanning for the next token, found character"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "while parsing a flow sequence"),
        ("a: 1\nb: 'x\n", 3, "while scanning a quoted scalar, found unexpected end of stream"),
        ("a: 1\n b: 2\n", 2, "mapping values are not allowed in this context"),
        ("a: 1\nb: \x00\n", 2, "the character"),
        ("a: 1\nb: \x07\n", 2, "the character"),
    ],
)
def test_what_is_refused_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    actual_line, actual_reason = refusal(text)

    assert actual_line == line
    assert actual_reason.startswith(reason)


def test_binary_is_refused() -> None:
    assert refusal(b"a: 1\nb: \xff\xfe\x00\x01") == (2, "not UTF-8 text (byte 0xff)")


@pytest.mark.parametrize("text", ["[" * 1_000_000, "a: " + "{b: " * 500, "- " * 500, "[" * 101])
def test_deep_nesting_is_refused_and_does_not_crash(text: str) -> None:
    assert refusal(text) == (1, "nested more than 100 deep")


def test_a_file_that_is_too_large_is_refused() -> None:
    assert refusal(b"#" * (LARGEST_FILE + 1)) == (1, f"larger than {LARGEST_FILE:,} bytes")


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    (entry,) = read_manifest("a.yaml", b"\xef\xbb\xbfkind: ConfigMap\napiVersion: v1\n")

    assert entry.decoded.ignored


def test_json_documents_follow_one_another() -> None:
    documents = parse_json('{"a": "\\ud83d\\ude00"}\n\n\t{"b": 1} null\n')

    assert [(d.value, d.line) for d in documents] == [({"a": "\U0001f600"}, 1), ({"b": 1}, 3)]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"a": 1,\n "b": }', 2, "Expecting value"),
        ('{"a": 1}\n{"b": 1, "b": 2}', 2, 'the key "b" is there twice in one mapping'),
        ('{"a": "\\ud83d"}', 1, "an escape \\u stands for half a character"),
        ('{"a": NaN}', 1, "NaN is not JSON"),
        ("[" * 100_000, 1, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", 1, "Exceeds the limit"),
    ],
)
def test_bad_json_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    actual_line, actual_reason = refusal(text, "a.json")

    assert actual_line == line
    assert actual_reason.startswith(reason)


def test_json_documents_one_after_another_know_their_lines() -> None:
    documents = parse_json('{"a": 1}\n\n{"b": "\\u00e9"} {"c": 2}\n[3]')

    assert [(d.value, d.line) for d in documents] == [
        ({"a": 1}, 1),
        ({"b": "é"}, 3),
        ({"c": 2}, 3),
        ([3], 4),
    ]


class _Counting(str):
    """A text that counts how many of its characters are searched, other than by the decoder."""

    __slots__ = ()
    searched = 0

    def count(self, *args: Any) -> int:
        _Counting.searched += args[2] - args[1]
        return super().count(*args)

    def __contains__(self, part: str) -> bool:  # type: ignore[override]
        _Counting.searched += len(self)
        return super().__contains__(part)


@pytest.mark.parametrize("documents", [10, 1000])
def test_each_character_of_json_is_looked_at_once_however_many_documents(documents: int) -> None:
    text = _Counting('{"a": "\\u00e9"}\n' * documents)
    _Counting.searched = 0

    assert len(parse_json(text)) == documents
    assert _Counting.searched <= 2 * len(text)


@pytest.mark.parametrize("name", [b"caf\xe9.yaml", b"a\nb.yaml", b"\x1b[31m.yaml"])
def test_where_something_stands_can_be_printed_whatever_the_file_is_called(name: bytes) -> None:
    (entry,) = read_manifest(os.fsdecode(name), b"kind: Pod\n")

    assert entry.source.isprintable()
    assert entry.source.encode()
    assert entry.source.endswith(".yaml:1")


@pytest.mark.parametrize("kind", ["List", "PodList", "EgressList"])
def test_a_list_with_null_for_its_items_is_empty(kind: str) -> None:
    assert read_manifest("a.json", f'{{"kind": "{kind}", "items": null}}'.encode()) == ()


def test_lists_in_lists_are_taken_apart_in_order_however_deep() -> None:
    inner = '{"kind": "Pod"}, {"kind": "Service"}'
    text = '{"kind": "List", "items": [' * 300 + inner + "]}" * 300

    found = read_manifest("a.json", text.encode())

    assert [entry.decoded.ref.kind for entry in found] == ["Pod", "Service"]
