"""Whatever happens on the way, a client that stops rejecting ends with just what it asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.model_clients import ALL_TYPES, BAD, FULL_STATE, DeltaModel, SotwModel
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

AnyModel = SotwModel | DeltaModel
Step = Callable[[AnyModel], object]
Contents = dict[str, dict[str, str]]

VARIANTS = pytest.mark.parametrize("variant", [SotwModel, DeltaModel])
NAMES = ("name-a", "name-b", "name-c", "name-d")
some_names = st.sets(st.sampled_from(NAMES))


def _snapshots(*contents: str) -> st.SearchStrategy[Contents]:
    held = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(contents))
    return st.fixed_dictionaries(dict.fromkeys(ALL_TYPES, held))


def _publish(contents: Contents) -> Step:
    return lambda model: model.publish(contents)


def _edit(type_url: str, name: str, content: str) -> Step:
    """A small change: one resource gets this content, or is removed if it has it already."""

    def step(model: AnyModel) -> None:
        held = dict(model.contents[type_url])
        if held.get(name) == content:
            del held[name]
        else:
            held[name] = content
        model.publish({**model.contents, type_url: held})

    return step


def _subscribe(type_url: str, *, names: set[str], wildcard: bool) -> Step:
    wildcard = wildcard and type_url in FULL_STATE
    return lambda model: model.subscribe(type_url, names=set(names), wildcard=wildcard)


def _server_step(model: AnyModel) -> object:
    return model.server_step()


def _client_step(model: AnyModel) -> object:
    return model.client_step()


def _drain(model: AnyModel) -> object:
    return model.drain()


def _reconnect(model: AnyModel) -> object:
    return model.reconnect()


def _subscriptions(*types: str) -> st.SearchStrategy[Step]:
    return st.builds(_subscribe, st.sampled_from(types), names=some_names, wildcard=st.booleans())


def _edits(*contents: str) -> st.SearchStrategy[Step]:
    return st.builds(
        _edit, st.sampled_from(ALL_TYPES), st.sampled_from(NAMES), st.sampled_from(contents)
    )


moves: st.SearchStrategy[Step] = st.sampled_from(
    (_server_step, _client_step, _drain, _server_step, _client_step, _reconnect)
)


@VARIANTS
@settings(max_examples=examples(150))
@given(
    start=_snapshots("1", "2"),
    steps=st.lists(
        st.one_of(
            moves,
            moves,
            _subscriptions(*ALL_TYPES),
            _edits("1", "2"),
            _snapshots("1", "2").map(_publish),
        ),
        min_size=5,
        max_size=30,
    ),
)
def test_a_client_that_never_rejects_ends_with_what_it_asks_for(
    variant: type[AnyModel], start: Contents, steps: list[Step]
) -> None:
    model = _begin(variant, start)
    for step in steps:
        step(model)
    model.drain()

    _holds_what_it_asks_for(model)
    watched = model.types[ENDPOINTS].names & set(model.contents[ENDPOINTS])
    assert not {n for n in model.warming & watched if n in model.types[CLUSTER].contents}


@VARIANTS
@settings(max_examples=examples(150))
@given(
    start=_snapshots("1", "2", BAD),
    steps=st.lists(
        st.one_of(
            moves,
            moves,
            _subscriptions(*ALL_TYPES),
            _edits("1", "2", BAD),
            _snapshots("1", "2", BAD, BAD + "2").map(_publish),
        ),
        min_size=5,
        max_size=30,
    ),
    last=_snapshots("8", "9"),
    names_what_is_bad=st.booleans(),
)
def test_a_client_that_stops_rejecting_ends_with_what_it_asks_for(
    *,
    variant: type[AnyModel],
    start: Contents,
    steps: list[Step],
    last: Contents,
    names_what_is_bad: bool,
) -> None:
    model = _begin(variant, start, names_what_is_bad=names_what_is_bad)
    for step in steps:
        step(model)

    model.publish(last)
    model.drain()

    _holds_what_it_asks_for(model)


@VARIANTS
@settings(max_examples=examples(150))
@given(
    start=_snapshots("1", "2", BAD),
    steps=st.lists(
        st.one_of(
            st.just(_reconnect),
            _subscriptions(*(t for t in ALL_TYPES if t not in FULL_STATE)),
            _edits("1", "2", BAD, BAD + "2"),
            _snapshots("1", "2", BAD, BAD + "2").map(_publish),
        ),
        min_size=3,
        max_size=12,
    ),
)
def test_a_client_that_names_what_is_bad_holds_all_the_rest_and_never_sees_the_bad_again(
    variant: type[AnyModel], start: Contents, steps: list[Step]
) -> None:
    model = _begin(variant, start)
    model.drain()
    for step in steps:
        step(model)
        model.drain()

    for type_url, held in model.types.items():
        if variant is SotwModel and type_url in FULL_STATE:
            continue  # what is rejected there is the whole state; see test_nack
        good = {n: c for n, c in model.contents[type_url].items() if not c.startswith(BAD)}
        for name, content in good.items():
            if held.wants(name):
                assert (name, held.contents.get(name)) == (name, content)
        bad = [r for r in model.received if r[0] == type_url and r[2].startswith(BAD)]
        assert len(bad) == len(set(bad))


def _begin(variant: type[AnyModel], start: Contents, *, names_what_is_bad: bool = True) -> AnyModel:
    """A client that asks as Envoy does at first: all clusters and listeners, then by name."""
    model = variant(start, names_what_is_bad=names_what_is_bad)
    for type_url in ALL_TYPES:
        by_name = set() if type_url in FULL_STATE else {NAMES[0], NAMES[1]}
        model.subscribe(type_url, names=by_name, wildcard=type_url in FULL_STATE)
    return model


def _only(contents: Contents) -> Contents:
    """These, and nothing of the other types."""
    return {**{t: {} for t in ALL_TYPES}, **contents}


def _holds_what_it_asks_for(model: AnyModel) -> None:
    for type_url, held in model.types.items():
        current = model.contents[type_url]
        expected = {n: c for n, c in current.items() if held.wants(n)}
        actual = dict(held.contents)
        if type_url == ROUTES or (isinstance(model, SotwModel) and type_url == ENDPOINTS):
            # The end of these is told by their parents: in the state of the world never by a
            # response, and in delta not to who asks for routes while they are being removed.
            actual = {n: c for n, c in actual.items() if n in current}
        assert (type_url, expected) == (type_url, actual)


@VARIANTS
def test_a_wildcard_that_ended_and_begins_again_brings_endpoints_behind_its_clusters(
    variant: type[AnyModel],
) -> None:
    """Between the two the client has forgotten a cluster, so it warms anew when that is back."""
    both, one = {"name-a": "1", "name-b": "1"}, {"name-b": "1"}
    model = _begin(variant, _only({CLUSTER: both, ENDPOINTS: both}))
    model.server_step()
    model.drain()

    model.subscribe(CLUSTER, names={"name-a"}, wildcard=False)
    model.publish(_only({CLUSTER: one, ENDPOINTS: one}))
    model.subscribe(CLUSTER, names=set(), wildcard=True)
    model.drain()

    _holds_what_it_asks_for(model)
    assert not model.warming


@VARIANTS
def test_endpoints_that_are_back_before_they_had_to_go_come_behind_their_new_cluster(
    variant: type[AnyModel],
) -> None:
    endpoints = {ENDPOINTS: {"name-a": "1"}}
    model = _begin(variant, _only({}))
    for _ in range(3):
        model.server_step()

    model.publish(_only(endpoints))
    model.publish(_only({CLUSTER: {"name-a": "1"}}))
    model.publish(_only({CLUSTER: {"name-a": "1"}, **endpoints}))
    model.drain()

    _holds_what_it_asks_for(model)
    assert not model.warming


@VARIANTS
@pytest.mark.parametrize("names_what_is_bad", [True, False])
def test_what_was_sent_beside_the_bad_is_replaced_by_what_there_is_at_last(
    *, variant: type[AnyModel], names_what_is_bad: bool
) -> None:
    model = _begin(variant, _only({}), names_what_is_bad=names_what_is_bad)
    model.publish(_only({LISTENER: {"name-a": "1", "name-b": BAD}}))

    model.publish(_only({LISTENER: {"name-b": "8"}}))
    model.drain()

    assert model.types[LISTENER].contents == {"name-b": "8"}


def test_the_first_cluster_of_all_is_in_the_model_too() -> None:
    """The property above would hold of a model to which nothing was ever sent."""
    model = _begin(SotwModel, {t: {"name-a": "1"} for t in ALL_TYPES})
    model.drain()

    assert model.types[CLUSTER].contents == {"name-a": "1"}
    assert len(model.received) == 4


def test_what_is_kept_after_a_rejection_is_never_sent_without_its_content() -> None:
    """A cluster of an overtaken response, that is gone, and may still be in use."""
    clusters = {"name-c": "1", "name-a": "1"}
    listeners = dict.fromkeys(NAMES, "1")
    endpoints = {"name-a": "1", "name-b": "1"}
    start = {CLUSTER: clusters, ROUTES: {}, LISTENER: listeners, ENDPOINTS: endpoints}
    model = _begin(SotwModel, start, names_what_is_bad=False)
    for _ in range(4):
        model.server_step()

    bad = {"name-c": "bad2", "name-a": "bad", "name-b": "1"}
    model.publish({CLUSTER: bad, ENDPOINTS: {}, LISTENER: {}, ROUTES: {"name-a": "1"}})
    model.publish({CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}})
    model.drain()

    _holds_what_it_asks_for(model)
