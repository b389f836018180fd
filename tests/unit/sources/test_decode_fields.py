"""Reader: each accessor gives the value, or a default and a Problem."""

from __future__ import annotations

from towpath.model.names import ObjectRef
from towpath.sources.decode.fields import Reader
from towpath.sources.decode.findings import Findings


def reader(**raw: object) -> tuple[Reader, Findings]:
    found = Findings(ObjectRef("Egress", "shop", "x"), "")
    return Reader(raw, "spec", found), found


def test_null_and_absent_fields_have_their_default() -> None:
    read, found = reader(flag=None, text=None, number=None, choice=None, texts=None)

    assert read.flag("flag", default=True) is True
    assert read.text("text", default="a") == "a"
    assert read.number("number", lowest=1, highest=9, default=5) == 5
    assert read.choice("choice", ("a", "b"), default="b") == "b"
    assert read.texts("texts") == ()
    assert read.sections("absent") == ()
    assert found.problems == ()


def test_values_of_the_right_type_are_given() -> None:
    read, found = reader(flag=True, text="t", number=9, texts=["a", "b"], in_={"text": "u"})

    assert read.flag("flag") is True
    assert read.text("text") == "t"
    assert read.number("number", lowest=1, highest=9, default=5) == 9
    assert read.texts("texts") == ("a", "b")
    assert read.section("in_").text("text") == "u"
    assert found.problems == ()


def test_a_number_outside_its_range_has_the_default() -> None:
    read, found = reader(a=10, b=True)

    assert read.number("a", lowest=1, highest=9, default=5) == 5
    assert read.number("b", lowest=1, highest=9, default=5) == 5
    messages = [p.message for p in found.problems]
    assert messages == [
        "is 10; allowed: an integer from 1 to 9; 5 is used",
        "is true; allowed: an integer from 1 to 9; 5 is used",
    ]


def test_bad_items_of_a_list_are_left_out_and_named_by_index() -> None:
    read, found = reader(hosts=["a", 1, "b"], ports=[{"number": 80}, 443])

    assert read.texts("hosts") == ("a", "b")
    (port,) = read.sections("ports")
    assert port.number("number", lowest=1, highest=65535, default=0) == 80
    assert port.path("number") == "spec.ports[0].number"
    assert [p.field for p in found.problems] == ["spec.hosts[1]", "spec.ports[1]"]


def test_a_list_of_a_wrong_type_is_empty() -> None:
    read, found = reader(hosts="a", text=1)

    assert (read.texts("hosts"), read.text("text")) == ((), "")
    assert [p.field for p in found.problems] == ["spec.hosts", "spec.text"]
