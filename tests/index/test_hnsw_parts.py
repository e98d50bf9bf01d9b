"""States of hnswlib in parts: the last number that fits is taken, the next refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.index.hnsw_parts import NO_ENTRY, HNSWParts, mark_removed
from knngraph.index.hnswlib_graph import HnswlibGraph, has_hnswlib

M, N_POINTS = 3, 60


def made():
    """A graph of points that lead to the next ones; every tenth is on a layer above."""
    links = np.zeros((N_POINTS, 1 + 2 * M), dtype=np.uint32)
    places = np.arange(N_POINTS, dtype=np.uint32)
    links[:, 0] = 2
    links[:, 1], links[:, 2] = (places + 1) % N_POINTS, (places + 7) % N_POINTS
    levels = np.where(places % 10 == 0, 1, 0).astype(np.int32)
    levels[20] = 2
    upper = np.zeros((levels.sum(), 1 + M), dtype=np.uint32)
    upper[:, 0] = 1
    upper[:, 1] = 20
    settings = {
        "ser_version": 1,
        "seed": 0,
        "max_elements": N_POINTS + 5,
        "max_level": 2,
        "enterpoint_node": 20,
        "M": M,
        "ef_construction": 10,
        "has_deletions": False,
        "allow_replace_deleted": False,
    }
    vectors = np.random.default_rng(0).normal(size=(N_POINTS, 4)).astype(np.float32)
    labels = np.arange(N_POINTS, dtype=np.uint64)[::-1] + np.uint64(3)
    return HNSWParts(
        settings,
        links.view(np.uint8),
        labels,
        levels,
        upper.view(np.uint8).ravel(),
        vectors,
    )


@pytest.fixture
def parts():
    return made()


def setting(**changed):
    """The parts with other settings."""
    return lambda parts: replace(parts, settings=parts.settings | changed)


def without(name):
    """The parts with a setting less."""

    def change(parts):
        left = {k: value for k, value in parts.settings.items() if k != name}
        return replace(parts, settings=left)

    return change


def number(name, place, value, dtype=None):
    """The parts with another number in an array, read as a type."""

    def change(parts):
        array = getattr(parts, name).copy()
        seen = array if dtype is None else array.view(dtype)
        if name == "upper":
            seen = seen.reshape(-1, 1 + M)
        seen[place] = value
        return replace(parts, **{name: array})

    return change


def array(name, change):
    """The parts with another array."""
    return lambda parts: replace(parts, **{name: change(getattr(parts, name))})


REFUSED = {
    "no seed": without("seed"),
    "another setting": setting(space="l2"),
    "seed of float": setting(seed=0.0),
    "flag of int": setting(has_deletions=0),
    "M of bool": setting(M=True),
    "seed below": setting(seed=-1),
    "seed above": setting(seed=2**63),
    "version below": setting(ser_version=-1),
    "version above": setting(ser_version=2**31),
    "M below": setting(M=1),
    "M above": setting(M=10_001, ef_construction=10_001),
    "another M": setting(M=4, ef_construction=10),
    "few candidates": setting(ef_construction=M - 1),
    "full": setting(max_elements=N_POINTS - 1),
    "huge": setting(max_elements=2**32),
    "entry below": setting(enterpoint_node=-1),
    "entry above": setting(enterpoint_node=N_POINTS),
    "entry on a lower layer": setting(enterpoint_node=10),
    "top above": setting(max_level=3),
    "top below": setting(max_level=1),
    "level below": number("levels", 5, -1),
    "types": array("vectors", lambda vectors: vectors.astype(np.float64)),
    "flat": array("vectors", np.ravel),
    "levels of another type": array("levels", lambda levels: levels.astype(np.int64)),
    "labels of another type": array("labels", lambda labels: labels.astype(np.int64)),
    "short levels": array("levels", lambda levels: levels[:-1]),
    "short labels": array("labels", lambda labels: labels[:-1]),
    "short links": array("links", lambda links: links[:-1]),
    "narrow links": array("links", lambda links: links[:, :-4].copy()),
    "two points of one label": number("labels", 3, 4 + N_POINTS - 3),
    "too many links": number("links", (0, 0), 2 * M + 1, np.uint32),
    "too many links of the last": number("links", (-1, 0), 2 * M + 1, np.uint32),
    "link to no point": number("links", (0, 1), N_POINTS, np.uint32),
    "last link to no point": number("links", (0, 2), N_POINTS, np.uint32),
    "link to point -1": number("links", (0, 1), 2**32 - 1, np.uint32),
    "upper of another type": array("upper", lambda upper: upper.view(np.int8)),
    "upper cut off": array("upper", lambda upper: upper[:-4]),
    "too many upper links": number("upper", (0, 0), M + 1, np.uint32),
    "upper link to no point": number("upper", (0, 1), N_POINTS, np.uint32),
    "upper link to a lower point": number("upper", (0, 1), 21, np.uint32),
    "upper link too high": number("upper", (3, 1), 10, np.uint32),
}
TAKEN = {
    "as it is": lambda parts: parts,
    "largest seed": setting(seed=2**63 - 1),
    "largest version": setting(ser_version=2**31 - 1),
    "least version": setting(ser_version=0),
    "least candidates": setting(ef_construction=M),
    "just full": setting(max_elements=N_POINTS),
    "largest": setting(max_elements=2**10),
    "flags": setting(has_deletions=True, allow_replace_deleted=True),
    "most links": number("links", (0, 0), 2 * M, np.uint32),
    "no link": number("links", (0, 0), 0, np.uint32),
    "link to the last": number("links", (0, 1), N_POINTS - 1, np.uint32),
    # Behind the links there may be anything.
    "rest of links": number("links", (0, 4), 10**6, np.uint32),
    "deleted": number("links", (0, 2), 1),
    "other bits of the third byte": number("links", (0, 2), 0xFE),
    "upper link on its layer": number("upper", (0, 1), 10, np.uint32),
    "no upper link": number("upper", (0, 0), 0, np.uint32),
}


@pytest.mark.parametrize("case", REFUSED)
def test_states_that_lead_out_of_their_arrays_are_refused(case, parts):
    with pytest.raises(ValueError, match="The state of the HNSW index"):
        REFUSED[case](parts).to_state()


@pytest.mark.parametrize("case", TAKEN)
def test_states_on_the_edge_are_taken_and_come_back(case, parts):
    parts = TAKEN[case](parts)
    state = parts.to_state()
    again = HNSWParts.from_state(state)
    assert again.settings == parts.settings
    assert again.n_points == N_POINTS
    # hnswlib names points by their places.
    assert_array_equal(again.labels, np.arange(N_POINTS))
    for name in ("links", "levels", "upper", "vectors"):
        assert_array_equal(getattr(again, name), getattr(parts, name), err_msg=name)


MESSAGES = {
    "no seed": "has other settings",
    "seed of float": "has seed=0.0",
    "seed below": "has seed=-1",
    "M below": "has M=1",
    "M above": "has M=10001",
    "few candidates": "has too small an ef_construction",
    "full": "holds too many points",
    "types": "has float64 for float32",
    "short levels": "has shape (59,) for (60,)",
    "two points of one label": "numbers points twice",
    "entry above": "is entered at point 60",
    "level below": "has a point below the lowest layer",
    "top above": "is not entered at its top",
    "too many links": "has too many links",
    "link to no point": "links to no point",
    "upper of another type": "has int8 for uint8",
    "upper cut off": "has upper layers cut off",
    "upper link to a lower point": "links to a lower point",
}


@pytest.mark.parametrize("case", MESSAGES)
def test_what_is_wrong_is_said(case, parts):
    message = f"^The state of the HNSW index {re.escape(MESSAGES[case])}\\.$"
    with pytest.raises(ValueError, match=message):
        REFUSED[case](parts).check()


@pytest.mark.skipif(not has_hnswlib(), reason="hnswlib is not installed")
@pytest.mark.parametrize("deleted", [[], [0, 7, 59]])
def test_a_state_of_hnswlib_comes_back_as_it_was(deleted, random):
    graph = HnswlibGraph(5, 70, M=4, ef_construction=30, seed=3)
    graph.add(random.normal(size=(60, 5)).astype(np.float32))
    state = graph.copy(np.array(deleted, dtype=np.intp))._state()
    parts = HNSWParts.from_state(state)
    assert parts.levels.max() >= 1
    assert_array_equal(np.flatnonzero(parts.removed), deleted)
    again = parts.to_state()
    assert set(again) == set(state)
    for name, value in state.items():
        if name.startswith("label_lookup"):
            continue
        assert_array_equal(again[name], value, err_msg=name)
        assert np.asarray(again[name]).dtype == np.asarray(value).dtype, name
    numbers, places = (
        [one[f"label_lookup_{side}"] for one in (state, again)]
        for side in ("external", "internal")
    )
    assert [dict(zip(*pair)) for pair in zip(numbers, places)] == [
        {place: place for place in range(60)}
    ] * 2


def test_links_are_checked_in_blocks(parts, monkeypatch):
    monkeypatch.setattr("knngraph.index.hnsw_parts._ROWS_PER_CHECK", 16)
    parts.to_state()
    for place in (0, 16, 17, N_POINTS - 1):
        with pytest.raises(ValueError, match="links to no point"):
            number("links", (place, 2), N_POINTS, np.uint32)(parts).to_state()


def test_removed_points_are_marked(parts):
    assert not parts.removed.any()
    records = parts.links.copy()
    mark_removed(records, np.array([0, 7]))
    assert_array_equal(np.flatnonzero(replace(parts, links=records).removed), [0, 7])


def test_a_graph_without_points_has_no_entry():
    parts = made()
    none = HNSWParts(
        parts.settings | {"max_level": -1, "enterpoint_node": NO_ENTRY},
        parts.links[:0],
        parts.labels[:0],
        parts.levels[:0],
        parts.upper[:0],
        parts.vectors[:0],
    )
    state = none.to_state()
    assert not state["ep_added"]
    assert parts.to_state()["ep_added"]
    assert HNSWParts.from_state(state).n_points == 0
