"""What fit says of all partitions together."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.fitting import stored_of_partition
from knngraph.distributed.layout import Layout
from knngraph.distributed.learning import (
    Learned,
)
from knngraph.distributed.partition import Partition
from knngraph.distributed.searching import (
    PartitionIndex,
)
from knngraph.distributed.tasks import compute, task
from knngraph.index.build import EF_GRID


@dataclass(frozen=True)
class Summary:
    """What fit says of all partitions together.

    Parameters
    ----------
    n_right : int
        Training rows that adaptive inference, leaving them out, gets right.
    n_relabeled : int
        Training rows whose stored label is not the given one.
    n_iter : int
    gaps : ndarray
        Optimality gaps above the tolerance.
    gap : float
        Largest optimality gap.
    same_label, same_node : ndarray of shape (n_beams,)
        Held-out nodes whose walk ends at the label, or node, of exact search.
    n_held_out : int
    """

    n_right: int
    n_relabeled: int
    n_iter: int
    gaps: np.ndarray
    gap: float
    same_label: np.ndarray
    same_node: np.ndarray
    n_held_out: int

    def agreement(self, ef: int) -> float:
        """Share of held-out nodes that a beam answers like exact search."""
        beam = int(np.searchsorted(EF_GRID, ef, side="right")) - 1
        return (
            float(self.same_label[beam] / self.n_held_out) if self.n_held_out else 1.0
        )

    def smallest_beam(self, same: np.ndarray, share: float) -> int:
        """Smallest measured beam with this share, else the widest."""
        enough = np.flatnonzero(same >= share * self.n_held_out)
        return EF_GRID[enough[0]] if len(enough) else EF_GRID[-1]


def summarize(
    partitions: list[Any],
    built: list[Any],
    learned: list[Any],
    layout: Layout,
    tol: float,
) -> Summary:
    """A few numbers of every partition, brought together."""
    parts: list[Summary] = list(
        compute(
            *(
                task(partial(_summary, tol=tol), *of_part, name="summary", home=home)
                for *of_part, home in zip(partitions, built, learned, layout.homes)
            )
        )
    )
    total = partial(_total, parts)
    return Summary(
        n_right=int(total("n_right")),
        n_relabeled=int(total("n_relabeled")),
        n_iter=max(1, *(part.n_iter for part in parts)),
        gaps=np.concatenate([part.gaps for part in parts]),
        gap=max(part.gap for part in parts),
        same_label=total("same_label"),
        same_node=total("same_node"),
        n_held_out=int(total("n_held_out")),
    )


def _total(parts: list[Summary], name: str) -> Any:
    return np.sum([getattr(part, name) for part in parts], axis=0)


def _summary(
    partition: Partition, built: PartitionIndex, learned: Learned, tol: float
) -> Summary:
    training, probe = partition.training, built.probe
    n_held_out = len(probe.nearest)
    codes = stored_of_partition(partition, learned)
    own = np.arange(training.n_nodes)
    changed = learned.codes != training.pair_code
    same_label, same_node = (
        np.array([round(probe.agreement(answers, ef) * n_held_out) for ef in EF_GRID])
        for answers in (codes, own)
    )
    return Summary(
        n_right=int(training.pair_count[learned.right].sum()),
        n_relabeled=int(training.pair_count[changed].sum()),
        n_iter=int(learned.n_iter.max(initial=0)),
        gaps=learned.gaps[learned.gaps > tol],
        gap=float(learned.gaps.max(initial=0.0)),
        same_label=same_label,
        same_node=same_node,
        n_held_out=n_held_out,
    )
