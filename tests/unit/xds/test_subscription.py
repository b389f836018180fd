"""What a client asks for, request by request, against the rules of the protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.xds.subscription import WILDCARD, Subscription

NEW = Subscription()

Requests = list[set[str]]
Changes = list[tuple[set[str], set[str]]]


def _sotw(requests: Requests, *, legacy_wildcard: bool = True) -> Subscription:
    after = NEW
    for listed in requests:
        after = after.restated(frozenset(listed), legacy_wildcard=legacy_wildcard)
    return after


def _delta(changes: Changes) -> Subscription:
    after = NEW
    for subscribe, unsubscribe in changes:
        after = after.changed(subscribe, unsubscribe)
    return after


@pytest.mark.parametrize(
    ("requests", "names", "wildcard"),
    [
        pytest.param([set()], set(), True, id="an empty first request is for everything"),
        pytest.param([set(), set()], set(), True, id="and so is each after it"),
        pytest.param([{"*"}], set(), True, id="the wildcard by its name"),
        pytest.param([{"a"}], {"a"}, False, id="names alone"),
        pytest.param([{"*", "a"}], {"a"}, True, id="the wildcard and a name"),
        pytest.param([set(), {"a"}], {"a"}, False, id="names end the legacy wildcard"),
        pytest.param([{"*", "a"}, {"a"}], {"a"}, False, id="the wildcard left out has ended"),
        pytest.param([{"*", "a"}, {"a"}, set()], set(), False, id="no names then are nothing"),
        pytest.param([{"*"}, set()], set(), False, id="nothing behind an explicit wildcard"),
        pytest.param([{"a"}, set(), {"*"}], set(), True, id="the wildcard can return by its name"),
        pytest.param([{"a", "b"}, {"b", "c"}], {"b", "c"}, False, id="each restates all"),
        pytest.param([{""}], {""}, False, id="an empty name is a name"),
    ],
)
def test_a_request_of_the_state_of_the_world_restates_what_is_asked_for(
    requests: Requests,
    names: set[str],
    wildcard: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    after = _sotw(requests)

    assert (names, wildcard) == ({*after.names}, after.wildcard)
    assert after.empty == (not names and not wildcard)


@pytest.mark.parametrize("requests", [[set()], [set(), set()], [{"a"}, set()]])
def test_a_type_without_the_legacy_wildcard_is_never_asked_for_by_naming_nothing(
    requests: Requests,
) -> None:
    assert _sotw(requests, legacy_wildcard=False).empty
    assert _sotw([*requests, {"*"}], legacy_wildcard=False).wildcard


@pytest.mark.parametrize(
    ("changes", "names", "wildcard"),
    [
        pytest.param([(set(), set())], set(), True, id="two empty lists at first: everything"),
        pytest.param([(set(), set())] * 2, set(), True, id="later they change nothing"),
        pytest.param([({"a"}, set()), (set(), set())], {"a"}, False, id="nor behind a name"),
        pytest.param([(set(), {"a"})], set(), False, id="ending something is not naming nothing"),
        pytest.param([(set(), {"a"}), (set(), set())], set(), False, id="nor is what follows it"),
        pytest.param([(set(), set()), ({"a"}, set())], {"a"}, True, id="names keep the wildcard"),
        pytest.param(
            [(set(), set()), ({"a"}, set()), (set(), {"*"})], {"a"}, False, id="until it is ended"
        ),
        pytest.param(
            [(set(), set()), ({"a"}, set()), (set(), {"*"}), (set(), {"a"})],
            set(),
            False,
            id="without the last name nothing is left",
        ),
        pytest.param([({"*"}, set())], set(), True, id="the wildcard by its name"),
        pytest.param([({"*", "a"}, set()), (set(), {"a"})], set(), True, id="a name ends alone"),
        pytest.param([({"a"}, set()), (set(), {"b"})], {"a"}, False, id="an unknown name ends"),
        pytest.param([({"a"}, set()), (set(), {"a"}), ({"a"}, set())], {"a"}, False, id="again"),
        pytest.param([({"a", "b"}, {"b"})], {"a"}, False, id="in both lists: it has ended"),
        pytest.param([({"*"}, {"*"})], set(), False, id="and so has the wildcard"),
        pytest.param([({""}, set())], {""}, False, id="an empty name is a name"),
    ],
)
def test_a_delta_request_says_what_is_new_and_what_has_ended(
    changes: Changes,
    names: set[str],
    wildcard: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    after = _delta(changes)

    assert (names, wildcard) == ({*after.names}, after.wildcard)
    assert after.empty == (not names and not wildcard)


def test_an_answer_that_changes_nothing_leaves_the_very_same_value() -> None:
    """Streams of clients that ask alike may share it, and it costs nothing."""
    named = _delta([({"a"}, set())])

    assert named is named.changed(set(), set())


def test_of_a_client_that_forgot_its_names_each_is_new_and_nothing_is_legacy() -> None:
    """It begins again with an empty nonce, after it had lost interest without a word."""
    forgotten = _sotw([{"a", "b"}]).forgotten()
    again = forgotten.restated(frozenset("a"), legacy_wildcard=True)

    assert frozenset("a") == again.names - forgotten.names
    assert forgotten.restated(frozenset(), legacy_wildcard=True).empty


names = st.sets(st.sampled_from(["*", "", "a", "b", "c"]))


@pytest.mark.parametrize("legacy_wildcard", [True, False])
@given(requests=st.lists(names))
def test_only_the_last_request_counts_but_for_the_legacy_wildcard(
    requests: Requests,
    legacy_wildcard: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    after = _sotw(requests, legacy_wildcard=legacy_wildcard)
    last = requests[-1] if requests else set[str]()
    never_listed = bool(requests) and not any(requests)

    assert last - {WILDCARD} == after.names
    assert after.wildcard == (WILDCARD in last or (legacy_wildcard and never_listed))


@given(st.lists(st.tuples(names, names)))
def test_what_was_last_said_of_each_name_counts(changes: Changes) -> None:
    """Against a reference that goes through the history of one name at a time."""
    after = _delta(changes)
    listed = [bool(subscribe or unsubscribe) for subscribe, unsubscribe in changes]
    legacy = bool(listed) and not listed[0]

    for name in ("*", "", "a", "b", "c"):
        wanted = legacy if name == WILDCARD else False
        for subscribe, unsubscribe in changes:
            wanted = (wanted or name in subscribe) and name not in unsubscribe
        assert wanted == (after.wildcard if name == WILDCARD else name in after.names)


@given(st.lists(st.tuples(names, names)))
def test_who_restates_a_delta_history_in_the_other_variant_asks_for_the_same(
    changes: Changes,
) -> None:
    delta, sotw = NEW, NEW
    for subscribe, unsubscribe in changes:
        delta = delta.changed(subscribe, unsubscribe)
        listed = delta.names | ({WILDCARD} if delta.wildcard else set())
        sotw = sotw.restated(frozenset(listed), legacy_wildcard=False)
        assert (delta.names, delta.wildcard) == (sotw.names, sotw.wildcard)
        assert all(delta.wants(n) == sotw.wants(n) for n in ("a", "", "other"))
