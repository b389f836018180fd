"""What a client holds, told by what differs from a set: the same as a dict of all of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.resources import resource, resource_set
from towpath.model.snapshot import Resource, ResourceSet
from towpath.model.types import ENDPOINTS
from towpath.xds.holdings import Holdings

NAMES = tuple("abcd")
contents = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("12"))
names = st.frozensets(st.sampled_from(NAMES))
changes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1", "2", None]))


def _set(versions: dict[str, str]) -> ResourceSet:
    return resource_set(ENDPOINTS, versions)


def _changes(versions: dict[str, str | None]) -> dict[str, Resource | None]:
    return {n: None if v is None else resource(ENDPOINTS, n, v) for n, v in versions.items()}


def _after(before: dict[str, Resource], new: dict[str, Resource | None]) -> dict[str, Resource]:
    return {name: one for name, one in {**before, **new}.items() if one is not None}


@settings(max_examples=examples(200))
@given(
    start=contents,
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("over"), contents),
            st.tuples(st.just("limited"), names),
            st.tuples(st.just("changed"), changes),
            st.tuples(st.just("unlimited"), st.none()),
        ),
        max_size=6,
    ),
    other=contents,
)
def test_holdings_are_a_dict_that_is_told_in_another_way(
    start: dict[str, str],
    steps: list[tuple[str, object]],
    other: dict[str, str],
) -> None:
    holdings, model = Holdings(_set(start)), dict(_set(start).items())
    limit: object = None
    for call, argument in steps:
        before = holdings
        match call, argument:
            case "over", dict():
                holdings = holdings.over(_set(argument))
            case "limited", frozenset():
                holdings, limit = holdings.limited(argument), argument
                model = {name: one for name, one in model.items() if name in argument}
            case "changed", dict():
                new = {n: v for n, v in argument.items() if limit is None or n in limit}  # type: ignore[operator]
                holdings, model = holdings.changed(_changes(new)), _after(model, _changes(new))
            case "unlimited", _:
                holdings, limit = holdings.unlimited(), None
        differing = {n for n in NAMES if before.find(n) != holdings.find(n)}
        assert differing == holdings.changed_since(before)

    assert model == dict(holdings)
    assert (len(model), bool(model)) == (len(holdings), bool(holdings))
    assert (holdings == Holdings.of(ENDPOINTS, dict(model))) is True
    target = _set(other)
    different = {n for n in model.keys() | other.keys() if model.get(n) != target.find(n)}
    assert holdings.differing(target) >= (different if limit is None else different & limit)  # type: ignore[operator]
    assert not holdings.is_all_of(target) or model == dict(target)


def test_who_holds_all_that_there_is_keeps_nothing_but_a_reference_to_it() -> None:
    before, after = _set({"a": "1", "b": "1"}), _set({"a": "1", "b": "2"})
    holdings = Holdings(before).changed({"b": after["b"]}).over(after)

    assert not holdings.own
    assert holdings.is_all_of(after)
    assert holdings.all_names is after.names
