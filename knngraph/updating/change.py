"""Changes of the rows of a fitted model, carried out when the model is used."""

from dataclasses import dataclass, replace

import numpy as np

from knngraph.fitted.kept import NOTHING_KEPT
from knngraph.fitted.rows import IndexedRows
from knngraph.fitted.settings import FitSettings
from knngraph.graph.changed_lists import change_neighbors
from knngraph.graph.changed_rows import ChangedRows, PendingRows, change_rows
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.order import bring_together
from knngraph.graph.training_set import row_hashes
from knngraph.index.build import BuildSettings, build_graph
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.protocol import SearchIndex
from knngraph.index.recall import HELD_OUT, SearchRecall, measure_recall
from knngraph.model import FittedModel
from knngraph.space import Space

# Share of the rows that may come or go before the numbers that all share are learned
# anew.
REFRESH_SHARE = 0.05
# Share of removed points from which the index is built anew. They slow a search
# down, and take their memory, in proportion; a third more of either is the most.
REBUILD_SHARE = 0.25
# New nodes of which one is held out to measure the search.
_NEW_PER_SEARCH = 8
# Share of new nodes from which all lists are searched anew (approximate search
# only): that then costs less than comparing all old nodes with all new ones.
_SEARCH_ALL_SHARE = 0.125


@dataclass(frozen=True)
class Change:
    """Rows, and changes of them that are pending.

    Rows that come or go are noted; nothing is searched before the model is used.
    Many small changes in a row cost one search and one copy of the index.

    Parameters
    ----------
    before : IndexedRows
    pending : PendingRows
    anew : bool, default=False
        Whether all is learned anew.
    """

    before: IndexedRows
    pending: PendingRows
    anew: bool = False

    @classmethod
    def of_model(cls, model: FittedModel) -> "Change":
        """No change yet, or those that are pending already."""
        with model.lock:
            if isinstance(model.start, Change):
                return model.start
            rows = model.learned_rows()
        return cls(rows, PendingRows(np.arange(rows.n_rows)))

    @property
    def space(self) -> Space:
        """Map from the rows of the user to those of the index."""
        return self.before.space

    @property
    def n_rows(self) -> int:
        """Number of rows after the change."""
        return self.pending.n_rows

    @property
    def n_changed(self) -> int:
        """Rows that came or went since the numbers that all rows share are kept."""
        before = self.before
        return before.n_changed + self.pending.n_changed(before.n_rows)

    def added(
        self, rows: np.ndarray, codes: np.ndarray, weights: np.ndarray | None
    ) -> "Change":
        """This change, followed by additional rows."""
        return replace(self, pending=self.pending.added(rows, codes, weights))

    def removed(self, indices: np.ndarray) -> "Change":
        """This change, followed by the removal of rows."""
        return replace(self, pending=self.pending.removed(indices))

    def with_classes(self, code_now: np.ndarray, n_classes: int) -> "Change":
        """The same change among more classes; see `TrainingSet.with_classes`."""
        training = self.before.training.with_classes(code_now, n_classes)
        before = replace(self.before, training=training)
        return Change(before, self.pending.with_classes(code_now), anew=True)

    def refreshed(self) -> "Change":
        """This change, and all learned anew."""
        return replace(self, anew=True)

    def carried_out(self, settings: FitSettings, n_threads: int) -> IndexedRows:
        """The rows with all changes."""
        before, n_changed = self.before, self.n_changed
        if self.anew or n_changed > REFRESH_SHARE * self.n_rows:
            before, n_changed = replace(before, kept=NOTHING_KEPT), 0
        rows = search_changes(before, self.pending, settings, n_threads)
        return replace(rows, n_changed=n_changed)


def search_changes(
    before: IndexedRows, pending: PendingRows, settings: FitSettings, n_threads: int
) -> IndexedRows:
    """Insert, remove and search what has changed.

    Parameters
    ----------
    before : IndexedRows
        Stays as it is, its index included.
    """
    training, hashes = before.training, before.hashes
    if hashes is None:
        hashes = row_hashes(training.points, settings.seed)
    change = change_rows(training, hashes, pending, settings.seed)
    present = change.training.with_class_weight(settings.class_weight)
    change = replace(change, training=present)
    build = BuildSettings(
        settings.M, settings.ef_construction, settings.seed, n_threads
    )
    exact = change.training.weight <= settings.exact_up_to
    if _wants_new_index(before.index, change):
        training, cells = bring_together(change.training, build)
        change = change.with_nodes_of(training)
        built = build_graph(
            training.points, settings.n_listed, build, exact=exact, found=cells
        )
        index, search_recall = built.index, built.search_recall
        weights = change.training.node_weights()
        neighbors = Neighbors(built.ids, built.squared, weights)
        moved = np.ones(change.training.n_nodes, dtype=bool)
    else:
        index, search_recall = _change_index(before, change, n_threads)
        searched: SearchIndex = index
        if exact:
            searched = ExactIndex(change.training.points)
        many = len(change.new_nodes) > _SEARCH_ALL_SHARE * change.training.n_nodes
        neighbors, moved = change_neighbors(
            before.neighbors,
            change,
            searched,
            settings.n_listed,
            anew=exact != before.exact or (many and not exact),
            n_threads=n_threads,
        )
    kept, folds = before.kept, before.out_of_fold
    if folds is not None:
        folds = folds.after(change.pair_now, change.training.n_pairs)
    kept = kept.without(["graph"]) if exact else kept
    return IndexedRows(
        before.space,
        change.training,
        change.hashes,
        index,
        search_recall,
        neighbors,
        exact,
        folds,
        kept=kept.after(change, moved),
    )


def _wants_new_index(index: HNSWIndex | ExactIndex, change: ChangedRows) -> bool:
    """Whether so much has changed that the index is built anew."""
    if change.same_nodes or isinstance(index, ExactIndex):
        return False
    return (
        len(change.new_nodes) > change.training.n_nodes // 2
        or _removed_share(index, change) > REBUILD_SHARE
    )


def _change_index(
    before: IndexedRows, change: ChangedRows, n_threads: int
) -> tuple[HNSWIndex | ExactIndex, SearchRecall]:
    if change.same_nodes:
        return before.index, before.search_recall
    if isinstance(before.index, ExactIndex):
        return ExactIndex(change.training.points), before.search_recall
    new = change.new_nodes
    index = before.index.renumbered(change.node_now)
    search_recall = before.search_recall.renumbered(change.node_now)
    if len(new):
        search_recall = _extend_recall(search_recall, index, change, n_threads)
        index.add(change.training.points[new], new, may_wait=True)
    return index, search_recall


def _removed_share(index: HNSWIndex, change: ChangedRows) -> float:
    """Share of the index that would be removed points after the change."""
    n_gone = int((change.node_now < 0).sum())
    return 1.0 - (index.n_linked - n_gone) / index.n_places


def _extend_recall(
    recall: SearchRecall,
    index: HNSWIndex,
    change: ChangedRows,
    n_threads: int,
) -> SearchRecall:
    """Search for some new nodes before they are inserted, as fit does.

    One in eight, by its hash, is searched for: it takes as long as all else that the
    index does for a node. Of more than 500, every second, third ...: nodes are ordered
    in space. The last 500 searches remain.
    """
    points, new = change.training.points, change.new_nodes
    new = new[change.hashes[new] % np.uint64(_NEW_PER_SEARCH) == 0]
    if not len(new):
        return recall
    old = np.flatnonzero(change.old_node >= 0)
    stored, rows = points[old], points[new[:: max(1, -(-len(new) // HELD_OUT))]]
    found = measure_recall(index, stored, rows, n_threads, old)
    return recall.with_more(found).of(slice(-HELD_OUT, None))
