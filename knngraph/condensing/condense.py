"""From a model that answers by lookup to a smaller one."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.condensing.classifier import CondensedClassifier, CondensingReport
from knngraph.condensing.editing import find_edited, find_voters
from knngraph.condensing.plan import Plan, make_plan
from knngraph.condensing.subset import SubsetSearch
from knngraph.graph.training_set import TrainingSet, random_pairs
from knngraph.index.build import BuildSettings, build_graph, index_for_walk
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.medoids import MedoidSearch
from knngraph.index.others import others_of
from knngraph.index.protocol import SearchIndex
from knngraph.index.recall import (
    HELD_OUT,
    SearchRecall,
    measure_recall,
    measure_recall_from_medoids,
)
from knngraph.inference.novelty import (
    CALIBRATION_PAIRS,
    Novelty,
    novelty_from_distances,
)
from knngraph.inference.query_model import QueryModel
from knngraph.inference.stored import StoredAnswers
from knngraph.model import ENOUGH_SAME_LABELS
from knngraph.parallel import count_threads
from knngraph.serving.predictor import Predictor
from knngraph.serving.predictor_state import PredictorState
from knngraph.serving.tree import to_tree
from knngraph.weights import without_one_row

# Whether edited rows are dropped.
EDITED = {"auto": (False, True), "keep": (False,), "drop": (True,)}
_TIMED_ROWS = 1000
_TIMED_CALLS = 5
# Dropped rows that the search is measured on where few are kept.
_FEWEST_PROBES = 100


def condense(
    predictor: Predictor,
    tolerance: float = 0.01,
    *,
    edited: str = "auto",
    row_of_node: np.ndarray | None = None,
    M: int = 16,
    ef_construction: int = 200,
    n_jobs: int | None = None,
) -> CondensedClassifier:
    """Keep only stored rows that the stored decision needs.

    Parameters
    ----------
    predictor : Predictor
        Answers by lookup. `KNNGraphClassifier.condense` makes it.
    tolerance : float, default=0.01
        Accuracy that lookups may lose: the loss on left-out rows that the
        condensation has not seen, plus its standard error. Where no smaller set
        loses so little, every row is kept.
    edited : {"auto", "keep", "drop"}, default="auto"
        Rows that Wilson editing removes: more than half of their 8 nearest others
        have another stored label. "keep" gives every training row its stored label
        under exact search, "drop" every row but these, "auto" takes the one that
        keeps fewer rows.
    row_of_node : ndarray of shape (n_points,) or None
        What `kept_` holds of a stored row; None its position.
    M, ef_construction : int
        Of the new index, which one thread builds: the same rows give the same bytes.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.

    Returns
    -------
    CondensedClassifier
        Its `to_predictor` makes the smaller predictor. Needs scikit-learn.

    Examples
    --------
    >>> import knngraph
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = knngraph.KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> small = knngraph.condense(classifier.to_predictor(), tolerance=0.02)
    >>> bool(small.report_.kept_share < 0.25)
    True
    """
    state: PredictorState = predictor._state
    _check_arguments(state, tolerance, edited)
    n_threads = count_threads(n_jobs)
    model = state.model
    assert model.stored is not None
    training, codes = model.training, model.stored.codes
    neighbors = find_voters(model.index, training.points, n_threads=n_threads)
    plan = make_plan(
        training, codes, neighbors, tolerance, EDITED[edited], n_threads=n_threads
    )
    kept, changed = np.arange(training.n_nodes), np.zeros(training.n_nodes, dtype=bool)
    n_edited, small = 0, state
    if plan.margin is not None:
        dropped = find_edited(neighbors, codes, training.node_weights())
        dropped &= plan.drop_edited
        search = SubsetSearch(training.points, codes, dropped, n_threads=n_threads)
        subset = search.grow(plan.margin)
        kept, changed = subset.kept, subset.changed
        n_edited = _rows_on(training, dropped)
        small = _state_of_nodes(state, kept, M, ef_construction, n_threads)
    condensed = CondensedClassifier(n_jobs=n_jobs)
    if small.description is not None and plan.margin is not None:
        described = replace(
            small.description,
            model=f"{small.description.model}, condensed",
            accuracy=plan.accuracy_after,
        )
        small = replace(small, description=described)
    condensed._state = small
    condensed.report_ = _report(state, small, plan, tolerance, n_edited, changed)
    condensed.kept_ = kept if row_of_node is None else row_of_node[kept]
    return condensed


def _check_arguments(state: PredictorState, tolerance: Any, edited: Any) -> None:
    if state.options.inference != "lookup":
        raise ValueError(
            "condense keeps the rows that lookups need, and this one answers by "
            f"inference={state.options.inference!r}, which needs all of them. Call "
            'set_params(inference="lookup") on the classifier first; no refit is '
            "needed."
        )
    number = isinstance(tolerance, int | float | np.number)
    if not number or isinstance(tolerance, bool) or not 0 <= tolerance < 1:
        raise ValueError(
            f"tolerance must be a number from 0 to below 1, got {tolerance!r}: the "
            "share of left-out rows that may lose their right answer."
        )
    if edited not in EDITED:
        raise ValueError(
            f"edited must be one of {', '.join(map(repr, EDITED))}, got {edited!r}."
        )


def _state_of_nodes(
    state: PredictorState,
    kept: np.ndarray,
    M: int,
    ef_construction: int,
    n_threads: int,
) -> PredictorState:
    """The same answers from some of the nodes."""
    model = state.model
    assert model.stored is not None
    points = model.training.points[kept]
    codes = model.stored.codes[kept]
    walk = "medoids" if isinstance(model.index, MedoidSearch) else "hnsw"
    built = build_graph(
        points, settings=BuildSettings(M, ef_construction, n_threads=n_threads)
    )
    graph, search_recall = built.index, built.search_recall
    if walk == "medoids" and isinstance(graph, HNSWIndex):
        search_recall = measure_recall_from_medoids(graph, points, n_threads)
    index = index_for_walk(walk, graph, points)
    search_recall = _with_dropped(search_recall, index, model, kept, points, n_threads)
    empty = np.empty(0, dtype=np.intp)
    training = TrainingSet(
        points=points,
        node_of_row=empty,
        codes=empty,
        n_classes=model.training.n_classes,
        pair_of_row=empty,
        pair_node=np.arange(len(kept)),
        pair_code=codes,
        pair_weight=np.ones(len(kept)),
    )
    label_ef = search_recall.smallest_ef(codes, ENOUGH_SAME_LABELS)
    novelty = _novelty_beside(training, index, model, kept, label_ef, n_threads)
    small = replace(
        model,
        training=training,
        index=index,
        stored=StoredAnswers(codes, model.stored.shares[kept]),
        novelty=novelty,
        sets=None,
    )
    options = replace(state.options, ef=label_ef)
    first = model.training.node_starts()[:-1][kept]
    names = None if state.row_names is None else state.row_names[first]
    return replace(
        state, model=small, options=options, label_ef=label_ef, row_names=names
    )


def _with_dropped(
    search_recall: SearchRecall,
    index: SearchIndex,
    model: QueryModel,
    kept: np.ndarray,
    points: np.ndarray,
    n_threads: int,
) -> SearchRecall:
    """Measure the search on dropped rows too, in the proportion that queries have.

    The held-out rows of the index are kept rows, which lie where classes meet. Most
    queries do not.
    """
    dropped = np.ones(model.training.n_nodes, dtype=bool)
    dropped[kept] = False
    candidates = np.flatnonzero(dropped)
    wanted = round(len(search_recall.nearest) * len(candidates) / len(kept))
    sample = candidates[: min(max(wanted, _FEWEST_PROBES), HELD_OUT)]
    if len(sample) < wanted:
        # Fewer kept rows, then, so that the proportion stays.
        n_kept = max(1, round(len(sample) * len(kept) / len(candidates)))
        search_recall = search_recall.of(slice(n_kept))
    of_dropped = measure_recall(index, points, model.training.points[sample], n_threads)
    return search_recall.with_more(of_dropped)


def _novelty_beside(
    small: TrainingSet,
    index: SearchIndex,
    model: QueryModel,
    kept: np.ndarray,
    ef: int,
    n_threads: int,
) -> Novelty:
    """Distances to the kept rows: of dropped rows, and of kept ones left out."""
    training = model.training
    place = np.full(training.n_nodes, -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    weights = training.node_weights()
    sample = random_pairs(np.arange(training.n_nodes), CALIBRATION_PAIRS)
    place, weights = place[sample], weights[sample]
    ids, squared = index.nearest(training.points[sample], 1, ef=ef, n_threads=n_threads)
    ids, squared = ids[:, 0], squared[:, 0]
    # A kept row that has a copy is as near to it.
    alone = np.flatnonzero((place >= 0) & (without_one_row(weights) == 0.0))
    found, apart = others_of(index, small.points, place[alone], 1, n_threads=n_threads)
    if found.shape[1]:
        ids[alone], squared[alone] = found[:, 0], apart[:, 0]
    codes = small.node_classes()[ids]
    return novelty_from_distances(codes, squared, weights, small.n_classes)


def _report(
    state: PredictorState,
    small: PredictorState,
    plan: Plan,
    tolerance: float,
    n_edited: int,
    changed: np.ndarray,
) -> CondensingReport:
    training = state.model.training
    n_rows = round(float(training.pair_weight.sum()))
    times = _microseconds([state, small], training.points[:_TIMED_ROWS])
    return CondensingReport(
        n_rows=n_rows,
        n_points=training.n_nodes,
        n_kept=small.model.training.n_nodes,
        bytes_before=_n_bytes(state),
        bytes_after=_n_bytes(small),
        ef_before=state.label_ef,
        ef_after=small.label_ef,
        microseconds_before=times[0],
        microseconds_after=times[1],
        accuracy_before=plan.accuracy_before,
        accuracy_after=plan.accuracy_after,
        loss_error=plan.loss_error,
        n_left_out=plan.n_left_out,
        tolerance=float(tolerance),
        margin=plan.margin,
        n_edited=n_edited,
        changed_share=_rows_on(training, changed) / n_rows,
    )


def _n_bytes(state: PredictorState) -> int:
    """Bytes of the arrays that a predictor saves."""
    _, arrays = to_tree(state)
    return sum(array.nbytes for array in arrays.values())


def _rows_on(training: TrainingSet, nodes: np.ndarray) -> int:
    return round(float(training.pair_weight[nodes[training.pair_node]].sum()))


def _microseconds(states: list[PredictorState], rows: np.ndarray) -> list[float]:
    """Time of a lookup, in turn, the fastest of a few."""
    fastest = [np.inf] * len(states)
    for _ in range(_TIMED_CALLS):
        for i, state in enumerate(states):
            start = time.perf_counter()
            state.model.index.nearest(rows, 1, ef=state.label_ef)
            fastest[i] = min(fastest[i], time.perf_counter() - start)
    return [1e6 * seconds / len(rows) for seconds in fastest]
