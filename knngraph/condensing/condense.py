"""From a model that answers by lookup to a smaller one."""

import time
from dataclasses import replace

import numpy as np

from knngraph.condensing.left_out import Plan, make_plan
from knngraph.condensing.outvoted import (
    find_outvoted,
    nearest_nodes,
    rows_on_nodes,
)
from knngraph.condensing.report import CondensingReport
from knngraph.condensing.subset import SubsetSearch
from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import (
    HELD_OUT,
    WalkProbe,
    build_index,
    probe_walks,
    walked_by,
)
from knngraph.index.medoids import MedoidWalk
from knngraph.index.protocol import SearchIndex
from knngraph.inference.cascade import Decisions
from knngraph.inference.learn import label_beam
from knngraph.inference.model import FittedModel
from knngraph.inference.stored import StoredAnswers
from knngraph.serving.served import Served
from knngraph.serving.tree import to_tree

# Whether rows that are outvoted are given up.
WAYS = {"auto": (False, True), "keep": (False,), "drop": (True,)}
_TIMED_ROWS = 1000
_TIMED_CALLS = 5
# Dropped rows that the walk is measured on where few are kept.
_FEWEST_PROBES = 100


def condense_served(
    served: Served,
    tolerance: float,
    outvoted: str,
    *,
    M: int = 16,
    ef_construction: int = 200,
    n_threads: int = 1,
) -> tuple[Served, CondensingReport, np.ndarray]:
    """Keep few stored rows that answer as all of them do.

    Parameters
    ----------
    served : Served
        Answers by lookup.
    tolerance : float
        Loss of accuracy that left-out rows may show.
    outvoted : {"auto", "keep", "drop"}
    M, ef_construction : int
        Of the new index.
    n_threads : int, default=1
        The new index is built by one: the same rows give the same bytes.

    Returns
    -------
    served : Served
    report : CondensingReport
    kept : ndarray of shape (n_kept,), intp
        Nodes of the old model that are left.
    """
    model = served.model
    training, codes = model.training, model.stored.codes
    everyone = np.ones(training.n_nodes, dtype=bool)
    neighbors = nearest_nodes(model.index, training.points, n_threads=n_threads)
    plan = make_plan(
        training, codes, neighbors, tolerance, WAYS[outvoted], n_threads=n_threads
    )
    if plan.margin is None:
        kept, changed, n_outvoted = np.flatnonzero(everyone), ~everyone, 0
        small = served
    else:
        given_up = find_outvoted(neighbors, codes, rows_on_nodes(training))
        given_up &= plan.give_up_outvoted
        search = SubsetSearch(training.points, codes, given_up, n_threads=n_threads)
        subset = search.grow(plan.margin)
        kept, changed = subset.kept, subset.changed
        n_outvoted = _rows_on(training, given_up)
        small = _served_by(served, kept, M, ef_construction, n_threads)
    report = _report(served, small, plan, tolerance, n_outvoted, changed)
    return small, report, kept


def _served_by(
    served: Served, kept: np.ndarray, M: int, ef_construction: int, n_threads: int
) -> Served:
    """The same answers from some of the nodes."""
    model = served.model
    points = model.training.points[kept]
    codes = model.stored.codes[kept]
    walk = "medoids" if isinstance(model.index, MedoidWalk) else "hnsw"
    graph, probe = build_index(points, M=M, ef_construction=ef_construction, walk=walk)
    index = walked_by(walk, graph, points)
    probe = _with_dropped(probe, index, model, kept, points, n_threads)
    nobody = np.empty(0, dtype=np.intp)
    everyone = np.arange(len(kept))
    training = TrainingSet(
        points=points,
        node_of_row=nobody,
        codes=nobody,
        n_classes=model.training.n_classes,
        pair_of_row=nobody,
        pair_node=everyone,
        pair_code=codes,
        pair_count=np.ones(len(kept), dtype=np.intp),
    )
    stored = StoredAnswers(codes, everyone, None)
    beam = label_beam(probe, stored)
    small = replace(
        model,
        training=training,
        index=index,
        stored=stored,
        probe=WalkProbe(probe.reached[:, :0], nobody),
        label_beam=beam,
        node_beam=beam,
        decisions=Decisions(1, np.inf, 1.0),
        trust=None,
    )
    return replace(
        served,
        model=small,
        reading=replace(served.reading, ef=beam),
        distribution=served.distribution[kept],
    )


def _with_dropped(
    probe: WalkProbe,
    index: SearchIndex,
    model: FittedModel,
    kept: np.ndarray,
    points: np.ndarray,
    n_threads: int,
) -> WalkProbe:
    """Measure walks on dropped rows too, in the proportion that queries have.

    The index was probed with kept rows, which lie where classes meet. Most queries
    do not.
    """
    dropped = np.ones(model.training.n_nodes, dtype=bool)
    dropped[kept] = False
    candidates = np.flatnonzero(dropped)
    wanted = round(len(probe.nearest) * len(candidates) / len(kept))
    sample = candidates[: min(max(wanted, _FEWEST_PROBES), HELD_OUT)]
    if len(sample) < wanted:
        # Fewer kept rows, then, so that the proportion stays.
        n_kept = max(1, round(len(sample) * len(kept) / len(candidates)))
        probe = WalkProbe(probe.reached[:, :n_kept], probe.nearest[:n_kept])
    of_dropped = probe_walks(index, points, model.training.points[sample], n_threads)
    return WalkProbe(
        np.concatenate([probe.reached, of_dropped.reached], axis=1),
        np.concatenate([probe.nearest, of_dropped.nearest]),
    )


def _report(
    served: Served,
    small: Served,
    plan: Plan,
    tolerance: float,
    n_outvoted: int,
    changed: np.ndarray,
) -> CondensingReport:
    before, after = served.model, small.model
    n_rows = int(before.training.pair_count.sum())
    times = _microseconds([before, after], before.training.points[:_TIMED_ROWS])
    return CondensingReport(
        n_rows=n_rows,
        n_points=before.training.n_nodes,
        n_kept=after.training.n_nodes,
        bytes_before=_n_bytes(served),
        bytes_after=_n_bytes(small),
        ef_before=before.label_beam,
        ef_after=after.label_beam,
        microseconds_before=times[0],
        microseconds_after=times[1],
        accuracy_before=plan.accuracy_before,
        accuracy_after=plan.accuracy_after,
        loss_error=plan.loss_error,
        n_left_out=plan.n_left_out,
        tolerance=tolerance,
        margin=plan.margin,
        n_outvoted=n_outvoted,
        changed_share=_rows_on(before.training, changed) / n_rows,
    )


def _n_bytes(served: Served) -> int:
    """Numbers that a predictor saves."""
    _, arrays = to_tree(served)
    return sum(array.nbytes for array in arrays.values())


def _rows_on(training: TrainingSet, nodes: np.ndarray) -> int:
    return int(training.pair_count[nodes[training.pair_node]].sum())


def _microseconds(models: list[FittedModel], rows: np.ndarray) -> list[float]:
    """Time of a lookup, in turn, the fastest of a few."""
    fastest = [np.inf] * len(models)
    for _ in range(_TIMED_CALLS):
        for i, model in enumerate(models):
            start = time.perf_counter()
            model.index.nearest(rows, 1, ef=model.label_beam)
            fastest[i] = min(fastest[i], time.perf_counter() - start)
    return [1e6 * seconds / len(rows) for seconds in fastest]
