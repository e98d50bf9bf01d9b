"""The neighbors of all rows: recall with its tail, time and memory, ours and others'.

    python -m benchmarks.lists [--only SET ...] [--data-dir DIR] [--write-docs]

For 32 neighbors of every row, and for the graph that is made with them. hnswlib takes
the rows in the order that they come and searches for each with `ef` of twice the
neighbors; the builder of knngraph makes lists and graph at once. Queries, which are
no rows of either, are then searched by hnswlib's own code on both graphs. Every
measurement has a process of its own, one after the other, with two threads; its time is
of the processor. pynndescent and faiss make lists of one set of each kind, where they
are installed. What the file of figures has is not measured again.
"""

import time
import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import parser_of, publish
from benchmarks.fit_stages import measured
from benchmarks.kept import RESULTS, KeptFigures, add_kept
from benchmarks.machine import described, version_of
from benchmarks.made_rows import (
    blobs,
    curved_sheet,
    heavy_tails,
    in_sorted_order,
    mixture,
    near_copies,
    text_like,
    uniform_noise,
)
from benchmarks.pages import DOCS, table
from benchmarks.peers.engines import Engine, Faiss, Hnswlib

PAGE = DOCS / "scale.md"
N_NEIGHBORS, N_THREADS = 32, 2
M, EF_CONSTRUCTION = 16, 200
N_QUERIES = 2000
# Rows with lists that are checked: as many as so many distances allow, in these bounds.
DISTANCES, FEWEST_CHECKED, MOST_CHECKED = 2e9, 500, 4000
NARROW, WIDE = (1, 2, 8, 16), 64
# What the tail, and recall of wide searches, may lie below hnswlib's.
TAIL, WIDE_LOSS = 0.02, 0.005
OURS, HNSWLIB = "knngraph", "hnswlib"

Made = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
MADE: dict[str, Made] = {
    "mixture": mixture,
    "blobs": blobs,
    "heavy tails": heavy_tails,
    "near copies": near_copies,
    "text": text_like,
    "uniform noise": uniform_noise,
    "sorted": mixture,
    "many rows": mixture,
    "curved sheet": lambda n, d: curved_sheet(n, d, 10, seed=0),
}


class Case(NamedTuple):
    """A set of rows; of those from a folder the number of rows is what there is."""

    name: str
    n_rows: int
    n_features: int

    def __str__(self) -> str:
        return f"{self.name}, {short(self.n_rows)} x {self.n_features}"


# Of each a share of the time that hnswlib's build and search take is wanted at most.
GATES = {
    Case("mixture", 100_000, 32): 0.3,
    Case("mixture", 300_000, 32): 0.3,
    Case("mixture", 1_000_000, 32): 0.3,
    Case("mixture", 300_000, 64): 0.3,
    Case("MNIST", 60_000, 784): 0.5,
    Case("blobs", 100_000, 32): 0.3,
    Case("blobs", 300_000, 32): 0.3,
    Case("blobs", 300_000, 64): 0.3,
}
CASES = [
    *GATES,
    Case("MNIST, components", 60_000, 64),
    Case("letter", 18_000, 16),
    Case("heavy tails", 100_000, 24),
    Case("near copies", 100_000, 32),
    Case("text", 100_000, 100),
    Case("uniform noise", 100_000, 16),
    Case("sorted", 100_000, 32),
    Case("curved sheet", 100_000, 32),
]
# hnswlib takes half an hour for these: only where they are named.
LARGEST = [Case("many rows", 3_000_000, 16), Case("many rows", 10_000_000, 16)]
PEER_CASES = [Case("mixture", 100_000, 32), Case("blobs", 100_000, 32)]


def short(n_rows: int) -> str:
    for unit, sign in ((10**6, "M"), (10**3, "k")):
        if n_rows >= unit and n_rows % (unit // 10) == 0:
            return f"{n_rows / unit:g}{sign}"
    return f"{n_rows:,}"


def rows_of(case: Case, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in single precision, and queries that are none of them.

    Raises
    ------
    FileNotFoundError
        The folder has not the set.
    """
    if case.name in MADE:
        X, y = MADE[case.name](case.n_rows + N_QUERIES, case.n_features)
        X, queries = X[: case.n_rows], X[case.n_rows :]
        if case.name == "sorted":
            X = in_sorted_order(X, y[: case.n_rows])[0]
        return X, queries
    X = _from_folder(case, folder)
    X = X[np.random.default_rng(0).permutation(len(X))]
    n_queries = min(N_QUERIES, len(X) // 5)
    n_rows = min(case.n_rows, len(X) - n_queries)
    return X[:n_rows], X[n_rows : n_rows + n_queries]


def _from_folder(case: Case, folder: Path | None) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    from benchmarks.datasets import TABULAR, load

    name = case.name.lower().removesuffix(", components")
    X, _ = load(name, folder)
    X = np.ascontiguousarray(X, dtype=np.float32) + np.float32(0.0)  # not -0.0
    rows = X.view(np.dtype((np.void, X.strides[0])))[:, 0]
    X = X[np.unique(rows, return_index=True)[1]]
    if name in TABULAR:
        X = StandardScaler().fit_transform(X)
    if X.shape[1] != case.n_features:
        reduce = PCA(case.n_features, random_state=0, svd_solver="randomized")
        X = reduce.fit_transform(X)
    return np.ascontiguousarray(X, dtype=np.float32)


class Listed(NamedTuple):
    """Lists of all rows, what each part of the way to them took, and their graph."""

    ids: np.ndarray
    taken: dict[str, dict[str, float]]
    graph: Any = None


def list_by_search(engine: Engine, X: np.ndarray) -> Listed:
    """Build the engine, and search it for every row."""
    ids = np.empty((len(X), N_NEIGHBORS + 1), dtype=np.int32)

    def search_all() -> None:
        for start in range(0, len(X), 16384):
            block = slice(start, start + 16384)
            ids[block] = engine.search(X[block], N_NEIGHBORS + 1)[0]

    _, built = measured(lambda: engine.build(X))
    _, searched = measured(search_all)
    return Listed(ids, {"build": built, "search": searched}, engine.index)


def list_by_hnswlib(X: np.ndarray) -> Listed:
    """With the settings of the classifier."""
    beam = 2 * (N_NEIGHBORS + 1)
    return list_by_search(Hnswlib(M, EF_CONSTRUCTION, beam, N_THREADS), X)


def list_by_builder(X: np.ndarray) -> Listed:
    """Lists and graph at once, by knngraph."""
    from knngraph.index.build import BuildSettings, build_graph
    from knngraph.index.hnswlib_graph import HnswlibGraph, has_hnswlib

    settings = BuildSettings(M, EF_CONSTRUCTION, n_threads=N_THREADS)
    built, taken = measured(
        lambda: build_graph(X, N_NEIGHBORS, settings, measured=False)
    )
    graph = None
    if has_hnswlib():
        graph = HnswlibGraph.of_parts(built.index.parts())._graph
    return Listed(built.ids, {"build": taken}, graph)


def list_by_descent(X: np.ndarray) -> Listed:
    """By pynndescent, which finds lists without a search."""
    from pynndescent import NNDescent

    def build() -> np.ndarray:
        wanted = N_NEIGHBORS + 1
        index = NNDescent(X, n_neighbors=wanted, random_state=0, n_jobs=N_THREADS)
        return index.neighbor_graph[0]

    ids, taken = measured(build)
    return Listed(ids, {"build": taken})


def list_by_faiss(factory: str, **settings: Any) -> Callable[[np.ndarray], Listed]:
    """By an index of faiss; IVF has a cell for some rows, and looks into several."""

    def make(X: np.ndarray) -> Listed:
        n_cells = max(1, round(4 * len(X) ** 0.5))
        engine = Faiss(factory.format(n_cells=n_cells), n_threads=N_THREADS, **settings)
        return list_by_search(engine, X)

    return make


WAYS: dict[str, Callable[[np.ndarray], Listed]] = {
    OURS: list_by_builder,
    HNSWLIB: list_by_hnswlib,
    "pynndescent": list_by_descent,
    "faiss HNSW": list_by_faiss(
        f"HNSW{M}", ef_construction=EF_CONSTRUCTION, ef=2 * (N_NEIGHBORS + 1)
    ),
    "faiss IVF, 8 cells a row": list_by_faiss("IVF{n_cells},Flat", n_probe=8),
    "faiss IVF, 32 cells a row": list_by_faiss("IVF{n_cells},Flat", n_probe=32),
}


# Rows that load what a way compiles, where a few do not.
WARMING = {OURS: 20_000, "pynndescent": 5000}


def is_there(way: str) -> bool:
    """Whether the package of a way is installed."""
    return find_spec(way.partition(" ")[0]) is not None


def exact_distances(X: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Squared distances of rows to the `k` nearest stored ones, in double precision."""
    from knngraph.index.exact import ExactIndex

    return ExactIndex(X).nearest(rows, k, n_threads=N_THREADS)[1]


def recalls(
    X: np.ndarray, rows: np.ndarray, ids: np.ndarray, exact: np.ndarray
) -> np.ndarray:
    """Share of the nearest stored rows that a list has, for every row.

    By distance, so that of rows equally far any may be listed.

    Parameters
    ----------
    X : ndarray of shape (n_stored, n_features)
    rows : ndarray of shape (n_rows, n_features)
    ids : ndarray of shape (n_rows, n_listed)
        Places in `X`; -1 for none. A place that comes twice counts once.
    exact : ndarray of shape (n_rows, k)
        Squared distances to the `k` nearest.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.lists import exact_distances, recalls
    >>> X = np.array([[0.0], [1.0], [2.0], [9.0]], dtype=np.float32)
    >>> exact = exact_distances(X, X[:2], 2)
    >>> recalls(X, X[:2], np.array([[0, 1], [1, 1]]), exact).tolist()
    [1.0, 0.5]
    """
    from knngraph.distances import squared_distances_to

    ids = np.sort(ids, axis=1)
    squared = squared_distances_to(rows.astype(float), X, np.maximum(ids, 0))
    squared[ids < 0] = np.inf
    squared[:, 1:][ids[:, 1:] == ids[:, :-1]] = np.inf
    # Engines compare in single precision.
    found = (squared <= exact[:, -1:] * (1.0 + 1e-5)).sum(axis=1)
    return np.minimum(found / exact.shape[1], 1.0)


def n_checked(X: np.ndarray) -> int:
    """Rows that are compared with exact lists, so that this takes a bounded time."""
    return int(np.clip(DISTANCES / len(X), FEWEST_CHECKED, MOST_CHECKED))


def recall_of_lists(X: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Recall of the lists of some rows, each without the row itself."""
    some = min(n_checked(X), len(X))
    rows = np.random.default_rng(1).choice(len(X), some, replace=False)
    listed = np.where(ids[rows] == rows[:, None], -1, ids[rows])
    listed = np.column_stack([rows, listed])
    exact = exact_distances(X, X[rows], N_NEIGHBORS + 1)
    shares = recalls(X, X[rows], listed, exact)
    # The row is the nearest of its own list.
    return shares + (shares - 1.0) / N_NEIGHBORS


def measure_graph(graph: Any, X: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Recall of searches on a graph by hnswlib, narrow ones and wide ones."""
    found = {}
    queries = queries[: n_checked(X)]
    exact = exact_distances(X, queries, N_NEIGHBORS)
    for ef, k in [*((ef, 1) for ef in NARROW), (WIDE, N_NEIGHBORS)]:
        graph.set_ef(ef)
        start = time.process_time()
        ids, _ = graph.knn_query(queries, k, num_threads=1)
        taken = time.process_time() - start
        shares = recalls(X, queries, ids.astype(np.intp), exact[:, :k])
        found[f"recall@{k} at {ef}"] = float(shares.mean())
    return found | {"us a query": 1e6 * taken / len(queries)}


def measure(
    way: str,
    name: str,
    n_rows: int,
    n_features: int,
    *,
    folder: str | None = None,
    most_gib: float = 0.0,
) -> dict[str, float]:
    """All figures of one way on one set, in a process of its own.

    Parameters
    ----------
    most_gib : float, default=0.0
        Memory that the process may have; it fails if it needs more. 0 is no limit.
    """
    warnings.simplefilter("ignore")
    if most_gib:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (int(most_gib * 2**30),) * 2)
    # Loads what is compiled; the builder has enough rows for all of its stages.
    WAYS[way](mixture(WARMING.get(way, 500), n_features)[0])
    case = Case(name, n_rows, n_features)
    X, queries = rows_of(case, Path(folder) if folder else None)
    listed = WAYS[way](X)
    shares = recall_of_lists(X, listed.ids)
    found = {
        f"{part} {figure}": value
        for part, taken in listed.taken.items()
        for figure, value in taken.items()
        if figure in ("cpu", "seconds")
    }
    for figure in ("peak_mb", "beyond_mb"):
        found[figure] = max(taken[figure] for taken in listed.taken.values())
    cpu = sum(taken["cpu"] for taken in listed.taken.values())
    found |= {
        "cpu": cpu,
        "us a row": 1e6 * cpu / len(X),
        "data_mb": X.nbytes / 2**20,
        "recall": float(shares.mean()),
        "tail": float(np.percentile(shares, 1)),
    }
    if listed.graph is not None and hasattr(listed.graph, "knn_query"):
        found |= measure_graph(listed.graph, X, queries)
    return found


def key_of(way: str, case: Case) -> str:
    """Name of the figures of one way on one set."""
    return f"lists by {way}: {case}"


def measure_case(
    kept: KeptFigures, way: str, case: Case, folder: Path | None
) -> dict[str, float] | None:
    """Figures of one way on one set; None where it could not be measured."""
    arguments = {"way": way, "folder": str(folder) if folder else None}
    arguments |= {"most_gib": kept.most_gib} | case._asdict()
    return kept.measure(key_of(way, case), "benchmarks.lists:measure", arguments)


def is_at_hand(case: Case, folder: Path | None) -> bool:
    """Whether the rows are made, or the folder has them."""
    name = case.name.lower().partition(",")[0]
    return case.name in MADE or (
        folder is not None and (Path(folder) / f"{name}.npz").exists()
    )


def report_recall(found: dict[Case, dict[str, dict[str, float]]]) -> str:
    """Recall of lists and of searches on both graphs, with what is wanted.

    Where hnswlib was not measured, ours stands alone.
    """
    wide = f"recall@{N_NEIGHBORS} at {WIDE}"
    # To three digits a mean is not below another.
    wanted = {
        "mean recall of the lists not below hnswlib's": ("recall", 5e-4),
        f"first percentile at most {TAIL} below": ("tail", TAIL),
        f"{wide} at most {WIDE_LOSS} below": (wide, WIDE_LOSS),
    }
    missed: dict[str, list[str]] = {what: [] for what in wanted}

    def cells_of(figures: dict[str, float]) -> list[str]:
        return [
            f"{figures['recall']:.3f}",
            f"{figures['tail']:.2f}",
            "/".join(f"{figures[f'recall@1 at {ef}']:.2f}" for ef in NARROW),
            f"{figures[wide]:.3f}",
            f"{figures['us a row']:.0f}",
        ]

    lines = []
    for case, ways in found.items():
        pair = [ways[way] for way in (HNSWLIB, OURS) if way in ways]
        lines.append([str(case), *map(" → ".join, zip(*map(cells_of, pair)))])
        for what, (name, most) in wanted.items():
            loss = pair[0][name] - pair[-1][name]
            if loss > most:
                missed[what].append(f"{case} ({loss:.3f})")
    heads = [
        "rows",
        "lists, mean",
        "first percentile",
        f"recall@1 at {'/'.join(map(str, NARROW))}",
        wide,
        "µs a row",
    ]
    verdicts = [
        f"- {what}: " + (f"missed on {', '.join(where)}" if where else "met")
        for what, where in missed.items()
    ]
    return table(heads, lines) + "\n\n" + "\n".join(verdicts)


def report_peers(found: dict[Case, dict[str, dict[str, float]]]) -> str:
    """Time, recall and memory of every way."""
    lines = [
        [
            str(case),
            way,
            f"{figures['us a row']:.0f}",
            f"{figures['recall']:.3f}",
            f"{figures['tail']:.2f}",
            f"{figures['beyond_mb']:.0f}",
        ]
        for case, ways in found.items()
        for way, figures in ways.items()
    ]
    heads = ["rows", "lists by", "µs a row", "recall", "first percentile"]
    return table([*heads, "MB beyond the rows"], lines)


def measure_cases(
    kept: KeptFigures, cases: Iterable[Case], ways: Iterable[str], folder: Path | None
) -> dict[Case, dict[str, dict[str, float]]]:
    """All ways on all sets that are at hand; a note where one is not."""
    found: dict[Case, dict[str, dict[str, float]]] = {}
    ways = list(ways)
    for way in ways:
        if not kept.report_only and not is_there(way):
            print(f"{way}: not installed")
    for case in cases:
        if not kept.report_only and not is_at_hand(case, folder):
            print(f"{case}: not in the folder {folder}")
            continue
        measured_ways = {
            way: measure_case(kept, way, case, folder) for way in ways if is_there(way)
        }
        found[case] = {way: f for way, f in measured_ways.items() if f is not None}
    return found


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", metavar="SET", help="names of sets")
    parser.add_argument(
        "--shrink", type=int, default=1, help="of all rows one in so many, to try it"
    )
    opened = add_kept(parser, RESULTS / "scale.json")
    options = parser.parse_args()
    kept = opened(options)
    folder = options.data_dir

    def chosen(cases: Iterable[Case]) -> list[Case]:
        return [
            case._replace(n_rows=case.n_rows // options.shrink)
            for case in cases
            if options.only is None or case.name in options.only
        ]

    both = measure_cases(kept, chosen(CASES), (HNSWLIB, OURS), folder)
    for case in chosen(LARGEST):
        named = options.only is not None
        ways = [w for w in (HNSWLIB, OURS) if named or key_of(w, case) in kept]
        both |= measure_cases(kept, [case], ways, folder)
    peers = measure_cases(kept, chosen(PEER_CASES), WAYS, folder)
    where = f"{N_THREADS} threads; {described(kept.conditions)}"
    complete = {case: ways for case, ways in both.items() if OURS in ways}
    text = f"hnswlib → knngraph; µs of the processor, {where}.\n\n"
    publish(text + report_recall(complete), PAGE, "recall", options)
    packages = [f"{name} {version_of(name)}" for name in ("pynndescent", "faiss-cpu")]
    text = f"µs of the processor, {where}, {', '.join(packages)}.\n\n"
    publish(text + report_peers(peers), PAGE, "peers", options)


if __name__ == "__main__":
    main()
