"""The index of holders says what a look into every snapshot would say."""

from __future__ import annotations

from weakref import ref

from hypothesis import given
from hypothesis import strategies as st

from support.resources import resource, snapshot
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ROUTES
from towpath.rollout.content import content
from towpath.rollout.holders import Holders

STREAMS = ("a1", "a2", "b1")
CONTENTS = st.dictionaries(
    st.sampled_from((CLUSTER, ROUTES)),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3),
    max_size=2,
)


SHARED = [snapshot({CLUSTER: {"x": text}, ROUTES: {"y": "1"}}) for text in "12"]
"""What many streams hold, as the same object."""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STREAMS),
            st.none() | st.sampled_from(SHARED) | CONTENTS.map(snapshot),
        ),
        max_size=12,
    )
)
def test_after_any_changes_those_in_whose_snapshots_it_is(
    changes: list[tuple[str, Snapshot | None]],
) -> None:
    holders: Holders[str] = Holders()
    snapshots: dict[str, Snapshot] = {}
    for stream, new in changes:
        old = snapshots.pop(stream, None)
        holders.moved(stream[0], old, new)
        if new is not None:
            snapshots[stream] = new

    for one in (
        resource(t, name, text) for t in (CLUSTER, ROUTES) for name in "xyz" for text in "12"
    ):
        there = {
            s[0] for s, held in snapshots.items() if held.of(one.type_url).get(one.name) == one
        }
        assert there == set(holders.of(content(one)))
        assert bool(there) is holders.hold(content(one))
    if not snapshots:
        assert not any(holders._by_version.values())


def test_a_snapshot_that_nobody_holds_is_not_kept() -> None:
    holders: Holders[str] = Holders()
    old, new = snapshot({CLUSTER: {"x": "1"}}), snapshot({CLUSTER: {"x": "2"}})
    layer = ref(old.of(CLUSTER).layers[0])
    gone = ref(old)
    for stream in STREAMS:
        holders.moved(stream, None, old)
    for stream in STREAMS:
        holders.moved(stream, old, new)
    del old

    assert (None, None) == (gone(), layer())
