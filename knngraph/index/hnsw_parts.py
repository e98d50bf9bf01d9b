"""The state of an HNSW graph as checked arrays, in the formats of hnswlib.

hnswlib checks no length and no link of a state that it is given: a damaged one is
read past its end. Every number that it follows is checked here first, so that no
state that gets through can take it outside of its own memory. Nor can it take the
compiled code of this library there, which checks as little.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Of these hnswlib has one legal value each, given the others.
_LINK_BYTES = 4
_LABEL_BYTES = 8
# The count of links takes two bytes; the lowest bit of the third marks a deleted
# point.
_COUNT_BYTES = 2
# What stands for the entry of a graph without points.
NO_ENTRY = 2**32 - 1
# Links on the lowest layer are checked in blocks: bounds the memory.
_ROWS_PER_CHECK = 65536


@dataclass(frozen=True)
class HNSWParts:
    """The arrays of an HNSW graph.

    Parameters
    ----------
    settings : dict
        Numbers and flags of hnswlib by its own names, without the sizes that
        follow from the others.
    links : ndarray of shape (n_points, 4 + 8 * M), uint8
        Links on the lowest layer, in the format of hnswlib.
    labels : ndarray of shape (n_points,), uint64
        Number of every point, which `vectors` has at the same place. hnswlib itself
        names points by their places.
    levels : ndarray of shape (n_points,), int32
        Highest layer of every point.
    upper : ndarray of uint8
        Links on the higher layers, one point after the other.
    vectors : ndarray of shape (n_points, n_features), float32
    """

    settings: dict[str, Any]
    links: np.ndarray
    labels: np.ndarray
    levels: np.ndarray
    upper: np.ndarray
    vectors: np.ndarray = field(repr=False)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self.labels.shape[0])

    @property
    def removed(self) -> np.ndarray:
        """Whether a point is deleted: no search finds it, all pass through it."""
        return (self.links[:, _COUNT_BYTES] & 1).astype(bool)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "HNSWParts":
        """Take a state of hnswlib apart."""
        n_points = state["cur_element_count"]
        records = state["data_level0"].view(np.uint8)
        records = records.reshape(n_points, state["size_data_per_element"])
        data, label = state["offset_data"], state["label_offset"]
        settings = {name: state[name] for name in _SETTINGS}
        labels = np.ascontiguousarray(records[:, label:]).view(np.uint64).ravel()
        return cls(
            settings,
            np.ascontiguousarray(records[:, :data]),
            labels,
            state["element_levels"][:n_points].copy(),
            state["link_lists"].view(np.uint8),
            records[:, data:label].view(np.float32),
        )

    def to_state(self) -> dict[str, Any]:
        """Put a state of hnswlib together; ValueError where it cannot be one."""
        self.check()
        n_points, n_features = self.vectors.shape
        M = self.settings["M"]
        data = self.links.shape[1]
        label = data + 4 * n_features
        size = label + _LABEL_BYTES
        places = np.arange(n_points, dtype=np.uint64)
        capacity = self.settings["max_elements"]
        records = np.empty((n_points, size), dtype=np.uint8)
        records[:, :data] = self.links
        records[:, data:label] = _bytes_of(self.vectors)
        records[:, label:] = _bytes_of(places[:, None])
        levels = np.zeros(capacity, dtype=np.int32)
        levels[:n_points] = self.levels
        return self.settings | {
            "space": "l2",
            "normalize": False,
            "index_inited": True,
            "ep_added": n_points > 0,
            "dim": n_features,
            # hnswlib's own pickle would bring the threads of another machine.
            "num_threads": 1,
            "ef": 1,
            "offset_level0": 0,
            "cur_element_count": n_points,
            "size_data_per_element": size,
            "label_offset": label,
            "offset_data": data,
            "max_M": M,
            "max_M0": 2 * M,
            "mult": 1.0 / math.log(M),
            "size_links_per_element": _LINK_BYTES * (M + 1),
            "label_lookup_external": places,
            "label_lookup_internal": places.astype(np.uint32),
            "element_levels": levels,
            "data_level0": records.view(np.int8).ravel(),
            "link_lists": self.upper.view(np.int8),
        }

    def check(self) -> None:
        """Raise ValueError where an engine would be led astray."""
        settings, n_points = self.settings, self.n_points
        _require(set(settings) == set(_SETTINGS), "has other settings")
        for name in _SETTINGS:
            _require(
                type(settings[name]) is (bool if name in _FLAGS else int),
                f"has {name}={settings[name]!r}",
            )
        for name, end in (("seed", 2**63), ("ser_version", 2**31)):
            _require(0 <= settings[name] < end, f"has {name}={settings[name]}")
        M = settings["M"]
        _require(2 <= M <= 10_000, f"has M={M}")
        _require(settings["ef_construction"] >= M, "has too small an ef_construction")
        _require(n_points <= settings["max_elements"] < 2**32, "holds too many points")
        for array, dtype, shape in (
            (self.links, np.uint8, (n_points, _LINK_BYTES * (2 * M + 1))),
            (self.labels, np.uint64, (n_points,)),
            (self.levels, np.int32, (n_points,)),
            (self.vectors, np.float32, (n_points, self.vectors.shape[-1])),
        ):
            _require(array.dtype == dtype, f"has {array.dtype} for {np.dtype(dtype)}")
            _require(array.shape == shape, f"has shape {array.shape} for {shape}")
        _require(len(np.unique(self.labels)) == n_points, "numbers points twice")
        self._check_entry()
        for start in range(0, n_points, _ROWS_PER_CHECK):
            self._followed(self.links[start : start + _ROWS_PER_CHECK], 2 * M)
        self._check_upper(M)

    def _check_entry(self) -> None:
        if not self.n_points:
            return
        entry, top = self.settings["enterpoint_node"], self.settings["max_level"]
        _require(0 <= entry < self.n_points, f"is entered at point {entry}")
        _require(self.levels.min() >= 0, "has a point below the lowest layer")
        _require(
            self.levels.max() == top == self.levels[entry], "is not entered at its top"
        )

    def _check_upper(self, M: int) -> None:
        width = _LINK_BYTES * (M + 1)
        n_lists = int(self.levels.sum(dtype=np.int64))
        _require(self.upper.dtype == np.uint8, f"has {self.upper.dtype} for uint8")
        _require(self.upper.shape == (n_lists * width,), "has upper layers cut off")
        lists = self.upper.reshape(n_lists, width)
        ends = np.cumsum(self.levels, dtype=np.int64)
        first = np.repeat(ends - self.levels, self.levels)
        layers = np.arange(n_lists) - first + 1
        targets, counts = self._followed(lists, M)
        reach = self.levels[targets] >= np.repeat(layers, counts)
        _require(bool(reach.all()), "links to a lower point")

    def _followed(self, lists: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Points that the links lead to, and number of links of every list."""
        counts = _as_type(lists[:, :_COUNT_BYTES], np.uint16)[:, 0]
        _require(not len(counts) or counts.max() <= most, "has too many links")
        targets = _as_type(lists[:, _LINK_BYTES:], np.uint32)
        targets = targets[np.arange(most) < counts[:, None]]
        _require(not len(targets) or targets.max() < self.n_points, "links to no point")
        return targets, counts


def mark_removed(records: np.ndarray, places: np.ndarray) -> None:
    """Mark points as deleted in records of hnswlib, in place."""
    records[places, _COUNT_BYTES] |= 1


_FLAGS = ("has_deletions", "allow_replace_deleted")
_SETTINGS = (
    "ser_version",
    "seed",
    "max_elements",
    "max_level",
    "enterpoint_node",
    "M",
    "ef_construction",
    *_FLAGS,
)


def _bytes_of(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows).view(np.uint8)


def _as_type(columns: np.ndarray, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(columns).view(dtype)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(f"The state of the HNSW index {problem}.")
