"""Hard inputs as a table: what is fitted, what is asked, what must come back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse
from sklearn.base import BaseEstimator

import knngraph.baselines
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, KNNGraphTransformer

# Every way to read a fitted graph classifier; one fit serves them all.
PREDICT_OPTIONS = {
    "lookup ef=1": {"inference": "lookup", "ef": 1, "walk": "hnsw"},
    "lookup ef=16": {"inference": "lookup", "ef": 16, "walk": "hnsw"},
    "lookup ef=auto": {"inference": "lookup", "ef": "auto", "walk": "hnsw"},
    "lookup medoids": {"inference": "lookup", "ef": None, "walk": "medoids"},
    "adaptive": {"inference": "adaptive", "ef": None, "walk": "hnsw"},
    "adaptive medoids": {"inference": "adaptive", "ef": None, "walk": "medoids"},
    "cascade": {"inference": "cascade", "ef": None, "walk": "hnsw"},
    "cascade hnsw": {"inference": "cascade", "ef": None, "walk": "hnsw"},
}

GRAPHS: dict[str, Callable[..., BaseEstimator]] = {
    "graph exact": partial(KNNGraphClassifier, support="exact", random_state=0),
    "graph local": partial(KNNGraphClassifier, support="local", random_state=0),
    "graph cosine": partial(KNNGraphClassifier, metric="cosine", random_state=0),
    "graph learned": partial(KNNGraphClassifier, metric="learned", random_state=0),
    "graph auto": partial(KNNGraphClassifier, metric="auto", random_state=0),
    "graph trees": partial(KNNGraphClassifier, metric="trees", random_state=0),
    "CV adaptive": partial(
        KNNGraphClassifierCV, neighbor_counts=[8, 16], random_state=0
    ),
    "CV lookup": partial(
        KNNGraphClassifierCV,
        inference="lookup",
        label_weights=[0.0, 0.3],
        self_weights=[2.0],
        random_state=0,
    ),
}

_BASELINE_SETTINGS: dict[str, dict[str, Any]] = {
    "CVKNNClassifier": {"cv": 3, "random_state": 0},
    "HNSWKNNClassifier": {"random_state": 0},
    "SubNNClassifier": {"n_estimators": 5, "random_state": 0},
}

BASELINES: dict[str, Callable[..., BaseEstimator]] = {
    name: partial(getattr(knngraph.baselines, name), **_BASELINE_SETTINGS.get(name, {}))
    for name in knngraph.baselines.__all__
}

TRANSFORMERS: dict[str, Callable[..., BaseEstimator]] = {
    "transformer learned": partial(
        KNNGraphTransformer, label_weight=0.3, random_state=0
    ),
    "transformer plain": partial(
        KNNGraphTransformer, method="knn", algorithm="hnsw", random_state=0
    ),
}

ALL_ESTIMATORS = GRAPHS | BASELINES | TRANSFORMERS
TAKE_SPARSE = {*GRAPHS, *TRANSFORMERS}
# With metric="auto", the default.
TAKE_NAN = frozenset({*GRAPHS} - {"graph cosine", "graph learned"})


@dataclass(frozen=True)
class Data:
    """Training rows, labels, queries, and the right answers to them."""

    X: Any
    y: Any
    queries: Any
    answers: np.ndarray

    def mapped(self, change: Callable[[Any], Any]) -> "Data":
        """The same answers after the same change of rows and queries."""
        return Data(change(self.X), self.y, change(self.queries), self.answers)


@dataclass(frozen=True)
class Case:
    """One hard input.

    `right` are the estimators that must give the right answers, by default all
    but `valid`, of which finite shares of known classes are asked: what the
    method says of such data is something else. `refused` maps estimators to the
    message of the ValueError or TypeError that they must raise instead; of one that is
    `valid` as well, the rounding of the LAPACK at hand decides which it is.
    """

    make: Callable[[], Data]
    valid: frozenset[str] = frozenset()
    refused: dict[str, str] | None = None
    only: frozenset[str] = frozenset(ALL_ESTIMATORS)
    settings: dict[str, dict[str, Any]] | None = None


_CENTERS = 24.0 * np.array(
    [[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
)


def clusters(n_each: int = 30) -> Data:
    """Four classes so far apart that every rule of neighbors answers alike.

    Coordinates are multiples of 1/1024: they keep all digits beside 1e8.
    """
    random = np.random.default_rng(0)
    y, asked = np.tile(np.arange(4), n_each), np.tile(np.arange(4), 5)

    def around(classes: np.ndarray) -> np.ndarray:
        noise = random.normal(size=(len(classes), 3))
        return np.round((_CENTERS[classes] + noise) * 1024.0) / 1024.0

    return Data(around(y), y, around(asked), asked)


def _changed(change: Callable[[Any], Any]) -> Callable[[], Data]:
    return lambda: clusters().mapped(change)


def _mixed_scales() -> Data:
    # The last column alone is seen in a distance, and it knows the class.
    data = clusters()
    X, queries = data.X.copy(), data.queries.copy()
    X[:, 2] += 200.0 * data.y
    queries[:, 2] += 200.0 * data.answers
    return Data(X, data.y, queries, data.answers).mapped(
        lambda rows: rows * np.array([1e-30, 1.0, 1e30])
    )


def _one_feature() -> Data:
    data = clusters()
    return Data(
        data.X[:, :1] / 24.0 + 50.0 * data.y[:, None],
        data.y,
        data.queries[:, :1] / 24.0 + 50.0 * data.answers[:, None],
        data.answers,
    )


def _sorted() -> Data:
    data = clusters()
    order = np.argsort(data.y, kind="stable")
    return Data(data.X[order], data.y[order], data.queries, data.answers)


def _isolated() -> Data:
    data = clusters()
    X = np.vstack([data.X, [[1e6, 0.0, 0.0]]])
    return Data(X, np.append(data.y, 4), data.queries, data.answers)


def _equal() -> Data:
    X = np.full((40, 3), 3.25)
    return Data(X, np.repeat([0, 1], [30, 10]), X[:3], np.zeros(3, dtype=int))


def _one_class() -> Data:
    data = clusters()
    return Data(data.X, np.full(120, 5), data.queries, np.full(20, 5))


def _first_rows(n_rows: int) -> Data:
    data = clusters()
    return Data(data.X[:n_rows], data.y[:n_rows], data.X[:n_rows], data.y[:n_rows])


def conflicting_copies(n_copies: int) -> Data:
    """Fifty places; three fifths of the rows on each say one class."""
    places = np.stack(np.meshgrid(np.arange(10.0), np.arange(5.0)), -1).reshape(-1, 2)
    places = places * 100.0 + 30.0
    given = np.arange(50) % 3
    y = np.repeat(given[:, None], n_copies, axis=1)
    y[:, : 2 * n_copies // 5] = ((given + 1) % 3)[:, None]
    order = np.random.default_rng(1).permutation(50 * n_copies)
    X = np.repeat(places, n_copies, axis=0)
    return Data(X[order], y.ravel()[order], places + 1.0, given)


def many_classes(n_classes: int) -> Data:
    """Two rows a class, next to each other, on a grid of classes."""
    place = np.stack([np.arange(n_classes) % 100, np.arange(n_classes) // 100], 1) * 9.0
    X = np.repeat(place + 5.0, 2, axis=0)
    X[1::2] += 0.25
    asked = np.arange(0, n_classes, n_classes // 50)
    y = np.repeat(np.arange(n_classes), 2)
    return Data(X, y, X[2 * asked] + 0.125, asked)


def _far_clusters() -> Data:
    # Two classes within every cluster: the clusters must not become points.
    random = np.random.default_rng(3)
    centers = 1e8 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    side = np.tile([-1.0, 1.0], 30)
    noise = np.round(random.normal(size=(4, 60, 2)) * 64.0) / 64.0
    noise[:, :, 0] += 8.0 * side
    X = (centers[:, None] + noise).reshape(-1, 2)
    y = np.tile((side > 0).astype(int), 4)
    aside = np.array([8.0, 0.0])
    queries = np.vstack([centers + aside, centers - aside])
    return Data(X, y, queries, np.repeat([1, 0], 4))


def _wide(n_columns: int) -> Data:
    random = np.random.default_rng(3)
    y = np.arange(24) % 3
    columns = (n_columns // 4) * (y[:, None] + 1) + np.arange(5)
    places = (np.repeat(np.arange(24), 5), columns.ravel())
    values = 1.0 + 0.1 * random.random(120)
    X = sparse.csr_array((values, places), shape=(24, n_columns))
    return Data(X, y, X[:6], y[:6])


def _strided(rows: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3]


def _read_only(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    rows.setflags(write=False)
    return rows


def _memory_mapped(order: Any, rows: np.ndarray) -> np.ndarray:
    with TemporaryFile() as file:
        file.write(rows.tobytes(order=order))
        file.flush()
        # The map outlives the file.
        return np.memmap(file, rows.dtype, mode="r", shape=rows.shape, order=order)


def _explicit_zeros(rows: np.ndarray) -> Any:
    stored = sparse.csr_array(np.column_stack([rows, np.ones(len(rows))]))
    stored.data[3::4] = 0.0
    return stored


def _unsorted(rows: np.ndarray) -> Any:
    stored = sparse.csr_array(rows)
    return sparse.csr_array(
        (
            stored.data.reshape(-1, 3)[:, ::-1].ravel(),
            stored.indices.reshape(-1, 3)[:, ::-1].ravel(),
            stored.indptr,
        ),
        shape=stored.shape,
    )


def _long_indices(rows: np.ndarray) -> Any:
    stored = sparse.csr_array(rows)
    stored.indices = stored.indices.astype(np.int64)
    stored.indptr = stored.indptr.astype(np.int64)
    return stored


def _with_gaps(rows: np.ndarray) -> np.ndarray:
    """One cell of every second row or so is missing: any two tell the class."""
    rows, numbers = rows.copy(), np.arange(len(rows))
    for column in range(3):
        rows[numbers % 7 == column, column] = np.nan
    return rows


def _gaps(change: Callable[[Any], Any] = lambda rows: rows) -> Case:
    return Case(_changed(lambda rows: change(_with_gaps(rows))), only=TAKE_NAN)


def _with_one_value(rows: np.ndarray) -> np.ndarray:
    given = np.where(np.arange(len(rows)) % 5 == 0, 7.0, np.nan)
    return np.column_stack([rows, given])


_NO_SQUARES = dict.fromkeys(
    set(BASELINES) - {"HNSWKNNClassifier"}, "Multiply X|Divide the column"
)
_ONE_STEP = frozenset({"OneStepKNNClassifier"})  # weighs by inner products
_TOO_SMALL_TO_SOLVE = {"OneStepKNNClassifier": "too small to solve"}
_NO_DIRECTION = frozenset({"graph cosine", "OneStepKNNClassifier"})
# Their smoothness is in units of the data.
_SMOOTH = {"KStarNNClassifier": {"smoothness": 1e30}}
_TREES = {"KTreeClassifier", "KStarTreeClassifier"}
_DENSE_ONLY = dict.fromkeys(
    set(ALL_ESTIMATORS) - TAKE_SPARSE, "Sparse data was passed for X"
)
_FEW = frozenset({"graph exact", "graph cosine", "transformer plain"})

CASES: dict[str, Case] = {
    "plain": Case(clusters),
    "offset 1e8": Case(_changed(lambda rows: rows + 1e8), _ONE_STEP),
    "offset -3e9": Case(
        _changed(lambda rows: rows - 3e9), _ONE_STEP, _TOO_SMALL_TO_SOLVE
    ),
    "scale 1e-30": Case(_changed(lambda rows: rows * 1e-30), settings=_SMOOTH),
    "scale 1e30": Case(_changed(lambda rows: rows * 1e30)),
    "scale 1e-300": Case(_changed(lambda rows: rows * 1e-300), refused=_NO_SQUARES),
    "scale 1e300": Case(_changed(lambda rows: rows * 1e300), refused=_NO_SQUARES),
    "subnormal": Case(_changed(lambda rows: rows * 1e-310), refused=_NO_SQUARES),
    "mixed scales": Case(_mixed_scales, valid=_NO_DIRECTION),
    "constant columns": Case(
        _changed(
            lambda rows: np.column_stack(
                [np.full(len(rows), 7.0), rows, np.full(len(rows), -9.0)]
            )
        )
    ),
    "one feature": Case(_one_feature, valid=_NO_DIRECTION),
    "sorted by class": Case(_sorted),
    "an isolated row, alone in its class": Case(_isolated),
    "all rows equal": Case(_equal),
    "one class": Case(_one_class),
    "one row": Case(partial(_first_rows, 1)),
    "two rows": Case(partial(_first_rows, 2), valid=frozenset(ALL_ESTIMATORS)),
    "five rows": Case(partial(_first_rows, 5), valid=frozenset(ALL_ESTIMATORS)),
    "20 copies with conflicting labels": Case(
        partial(conflicting_copies, 20),
        # Places say nothing of each other: maps find no rule.
        valid=frozenset(
            {
                *BASELINES,
                *TRANSFORMERS,
                "graph cosine",
                "graph learned",
                "graph trees",
            }
        ),
    ),
    "500 copies with conflicting labels": Case(
        partial(conflicting_copies, 500),
        only=frozenset({"graph exact", "graph local", "CV adaptive"}),
    ),
    "400 classes": Case(
        partial(many_classes, 400),
        valid=frozenset(
            {
                "graph learned",
                "KDTreeKNNClassifier",  # a tie of two classes among five rows
                "SubNNClassifier",
                "OneStepKNNClassifier",
            }
        ),
        only=frozenset({*BASELINES, "graph auto", "graph learned"}),
    ),
    "10000 classes": Case(
        partial(many_classes, 10_000),
        only=frozenset({"graph local", "KDTreeKNNClassifier", "HNSWKNNClassifier"}),
    ),
    "far tight clusters": Case(
        _far_clusters,
        valid=_NO_DIRECTION,  # directions of far clusters say something else
    ),
    "100000 sparse columns": Case(partial(_wide, 100_000), only=_FEW),
    "a billion sparse columns": Case(
        partial(_wide, 1_000_000_000),
        refused=dict.fromkeys(_FEW, r"\(24, 1000000000\).*TruncatedSVD"),
        only=_FEW,
    ),
    "C order": Case(_changed(np.ascontiguousarray)),
    "Fortran order": Case(_changed(np.asfortranarray)),
    "strided": Case(_changed(_strided)),
    "reversed": Case(_changed(lambda rows: rows[::-1, ::-1].copy()[::-1, ::-1])),
    "read-only": Case(_changed(_read_only)),
    "memory-mapped": Case(_changed(partial(_memory_mapped, "C"))),
    "memory-mapped, Fortran order": Case(_changed(partial(_memory_mapped, "F"))),
    "float16": Case(_changed(lambda rows: rows.astype(np.float16))),
    "float32": Case(_changed(lambda rows: rows.astype(np.float32))),
    "longdouble": Case(_changed(lambda rows: rows.astype(np.longdouble))),
    "big endian": Case(_changed(lambda rows: rows.astype(">f8"))),
    "object": Case(_changed(lambda rows: rows.astype(object))),
    "bool": Case(_changed(lambda rows: rows > 0.0)),
    "uint8": Case(_changed(lambda rows: (rows + 50.0).astype(np.uint8))),
    "int64 at 2**55": Case(
        _changed(lambda rows: np.round(rows * 1024.0).astype(np.int64) + 2**55),
        _ONE_STEP,
        _TOO_SMALL_TO_SOLVE,
    ),
    "list": Case(_changed(lambda rows: rows.tolist())),
    "pandas": Case(_changed(lambda rows: pd.DataFrame(rows, columns=list("abc")))),
    "nullable pandas": Case(
        _changed(lambda rows: pd.DataFrame(rows, columns=list("abc")).astype("Float64"))
    ),
    "CSR": Case(_changed(sparse.csr_array), refused=_DENSE_ONLY),
    "CSC": Case(_changed(sparse.csc_array), refused=_DENSE_ONLY),
    "sparse, explicit zeros": Case(_changed(_explicit_zeros), refused=_DENSE_ONLY),
    "sparse, unsorted indices": Case(_changed(_unsorted), refused=_DENSE_ONLY),
    "sparse, int64 indices": Case(_changed(_long_indices), refused=_DENSE_ONLY),
    "gaps": _gaps(),
    "gaps, offset 1e8": _gaps(lambda rows: rows + 1e8),
    "gaps, scale 1e-300": _gaps(lambda rows: rows * 1e-300),
    "gaps, scale 1e300": _gaps(lambda rows: rows * 1e300),
    "gaps, float32": _gaps(lambda rows: rows.astype(np.float32)),
    "gaps, a column of one value": _gaps(_with_one_value),
    "gaps, objects": _gaps(lambda rows: np.where(np.isnan(rows), None, rows)),
    "gaps, nullable pandas": _gaps(
        lambda rows: pd.DataFrame(rows, columns=list("abc")).astype("Float64")
    ),
    "gaps, CSR": _gaps(sparse.csr_array),
}


@dataclass(frozen=True)
class Refusal:
    """Arguments that `fit`, or `predict` or `transform`, must refuse, and how."""

    X: Callable[[np.ndarray], Any] = lambda rows: rows
    y: Callable[[np.ndarray], Any] = lambda labels: labels
    queries: Callable[[np.ndarray], Any] | None = None
    message: str = ""
    only: frozenset[str] = frozenset(ALL_ESTIMATORS)


def _with(
    value: Any, dtype: Any = np.float64, row: Any = 10
) -> Callable[[np.ndarray], np.ndarray]:
    def put(rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(dtype)
        rows[row, 1] = value
        return rows

    return put


def _frame_with(value: Any, kind: Any) -> Callable[[np.ndarray], pd.DataFrame]:
    def put(rows: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["age", "height", "weight"])
        frame["height"] = frame["height"].astype(kind)
        frame.loc[10, "height"] = value
        return frame

    return put


def _frame_of_times(rows: np.ndarray, frame: str, times: Any) -> Any:
    columns = {"age": rows[:, 0], "when": [times[i % 7] for i in range(len(rows))]}
    if frame == "polars":
        return pl.DataFrame(columns)
    if frame == "pandas":
        kind = "m8[s]" if isinstance(times[0], timedelta) else "M8[s]"
        columns["when"] = np.array(columns["when"], kind)
        return pd.DataFrame(columns)
    table = pa.table(columns)
    return table if frame == "pyarrow" else table.to_pandas(types_mapper=pd.ArrowDtype)


_TIMES: dict[str, list[Any]] = {
    "dates": [date(2024, 1, 1 + i) for i in range(7)],
    "times": [datetime(2024, 1, 1, 3 * i) for i in range(7)],
    "durations": [timedelta(hours=i) for i in range(7)],
}
_COMPLEX, _PARTS = r"^Complex data not supported\.", r"Give .* are nothing\.$"
_NAN = r"X has nan in row 10, column 1\. Input X contains NaN\. .*SimpleImputer"
_CLASSIFIES = frozenset({*GRAPHS, *BASELINES})
_TAKE_NO_NAN = frozenset(ALL_ESTIMATORS) - TAKE_NAN
_READS_LABELS = _CLASSIFIES | {"transformer learned"}

REFUSALS: dict[str, Refusal] = {
    "NaN": Refusal(X=_with(np.nan), message=_NAN, only=_TAKE_NO_NAN),
    "a column of NaN": Refusal(
        X=_with(np.nan, row=slice(None)),
        message=r"X has no value in any row of column 1: drop it",
        only=TAKE_NAN,
    ),
    "a column of None": Refusal(
        X=lambda rows: pd.DataFrame(rows, columns=list("abc")).assign(b=None),
        message=r"X has no value in any row of column 1 \('b'\): drop it",
        only=TAKE_NAN,
    ),
    "inf": Refusal(X=_with(np.inf), message="X has inf in row 10, column 1.*infinity"),
    "-inf in float32": Refusal(
        X=_with(-np.inf, np.float32), message="X has -inf in row 10, column 1"
    ),
    "None": Refusal(
        X=_with(None, object),
        message="X has None in row 10, column 1.*NaN",
        only=_TAKE_NO_NAN,
    ),
    "a word": Refusal(
        X=_with("abc", object),
        message="X has 'abc' in row 10, column 1.*convert.*OneHotEncoder",
    ),
    "pandas NA": Refusal(
        X=_frame_with(pd.NA, "Float64"),
        message=r"in row 10, column 1 \('height'\).*NaN",
        only=_TAKE_NO_NAN,
    ),
    "pandas NaN": Refusal(
        X=_frame_with(np.nan, float),
        message=r"X has nan in row 10, column 1 \('height'\)",
        only=_TAKE_NO_NAN,
    ),
    "a word in pandas": Refusal(
        X=_frame_with("tall", object),
        message=r"X has 'tall' in row 10, column 1 \('height'\).*tabular_pipeline",
    ),
    "a huge int": Refusal(
        X=_with(10**400, object), message=r"X has 10+\.\.\. in row 10, column 1"
    ),
    "sparse NaN": Refusal(
        X=lambda rows: sparse.csr_array(_with(np.nan)(rows)),
        message=_NAN,
        only=_TAKE_NO_NAN & TAKE_SPARSE,
    ),
    "sparse columns of pandas without zeros": Refusal(
        X=lambda rows: pd.DataFrame(rows).astype(pd.SparseDtype(float)),
        message=r"X has a sparse column 0 that leaves nan out.*to_dense\(\)",
    ),
    "complex": Refusal(
        X=_with(2 + 3j, complex),
        message=rf"{_COMPLEX} X has \(2\+3j\) in row 10, column 1\. {_PARTS}",
    ),
    "complex without imaginary parts": Refusal(
        X=lambda rows: rows.astype(complex).tolist(),
        message=rf"{_COMPLEX} X has \(.*\+0j\) in row 0, column 0\. {_PARTS}",
    ),
    "complex in pandas": Refusal(
        X=_frame_with(1j, complex),
        message=rf"{_COMPLEX} X has 1j in row 10, column 1 \('height'\)\. {_PARTS}",
    ),
    "sparse complex": Refusal(
        X=lambda rows: sparse.csr_matrix(_with(2j, complex)(rows)),
        message=rf"{_COMPLEX} X has .*2j\)? in row 10, column 1\. {_PARTS}",
    ),
    "times": Refusal(
        X=lambda rows: rows.astype("M8[s]"),
        message=r"dtype datetime64\[s\].*unit",
    ),
    **{
        f"{kind} in {frame}": Refusal(
            X=partial(_frame_of_times, frame=frame, times=times),
            message=r"Column 1 \('when'\) of X has dtype .*: distances .* unit",
        )
        for frame in ("pandas", "polars", "pyarrow", "pandas on pyarrow")
        for kind, times in _TIMES.items()
    },
    "masked entries": Refusal(
        X=lambda rows: np.ma.masked_greater(rows, 24.0), message="X has masked entries"
    ),
    "no rows": Refusal(X=lambda rows: rows[:0], message=r"0 sample\(s\).*minimum of 1"),
    "no columns": Refusal(X=lambda rows: rows[:, :0], message=r"0 feature\(s\)"),
    "one dimension": Refusal(X=lambda rows: rows[:, 0], message="Expected 2D array"),
    "three dimensions": Refusal(X=lambda rows: rows[None], message="dim 3"),
    "ragged lists": Refusal(
        X=lambda rows: [[1.0, 2.0], [3.0]], message="inhomogeneous shape"
    ),
    "a number": Refusal(X=lambda rows: 3.0, message="Expected 2D array"),
    "y too short": Refusal(
        y=lambda labels: labels[:-1],
        message=r"inconsistent numbers of samples: \[120, 119\]",
        only=_READS_LABELS,
    ),
    "no y": Refusal(y=lambda labels: None, message="y", only=_READS_LABELS),
    "two columns of y": Refusal(
        y=lambda labels: np.column_stack([labels, labels]),
        message=r"y has 2 columns, .*MultiOutputClassifier\(.*\)\.fit\(X, y\)",
        only=_CLASSIFIES,
    ),
    "two columns of y, for a graph": Refusal(
        y=lambda labels: np.column_stack([labels, labels]),
        message="y should be a 1d array",
        only=_READS_LABELS - _CLASSIFIES,
    ),
    "several labels a row": Refusal(
        y=lambda labels: [[label] * (1 + label % 2) for label in labels.tolist()],
        message="y holds lists of labels, .*MultiOutput.*MultiLabelBinarizer",
        only=_CLASSIFIES,
    ),
    "sparse y": Refusal(
        y=lambda labels: sparse.csr_matrix(np.eye(4, dtype=int)[labels]),
        message=r"y is sparse, of shape \(120, 4\), .*MultiOutput.* y\.toarray\(\)\)",
        only=_CLASSIFIES,
    ),
    "continuous y": Refusal(
        y=lambda labels: labels + 0.25,
        message="Unknown label type: continuous.*y has 0.25 in row 0: bin it",
        only=_READS_LABELS,
    ),
    "NaN in y": Refusal(
        y=lambda labels: np.where(labels == 1, np.nan, labels),
        message=r"Input y contains NaN: no label in \d+ of 120 rows, the first",
        only=_READS_LABELS,
    ),
    "None in y": Refusal(
        y=lambda labels: np.array([None if c == 1 else c for c in labels], object),
        message=r"Input y contains NaN: no label in \d+ of 120 rows",
        only=_READS_LABELS,
    ),
    "pandas NA in y": Refusal(
        y=lambda labels: pd.Series([*"ab" * 59, "a", None], dtype="string"),
        message=r"y contains NaN: no label in 1 of 120 rows, the first is row 119",
        only=_READS_LABELS,
    ),
    "NaN in a list of text": Refusal(
        y=lambda labels: [*"ab" * 59, "a", np.nan],
        message=r"y contains NaN: no label in 1 of 120 rows, the first is row 119",
        only=_READS_LABELS,
    ),
    "null of polars in y": Refusal(
        y=lambda labels: pl.Series([*"ab" * 59, "a", None]),
        message=r"y contains NaN: no label in 1 of 120 rows, the first is row 119",
        only=_READS_LABELS,
    ),
    "labels of two kinds": Refusal(
        y=lambda labels: np.array([1, "a"] * 60, dtype=object),
        message=r"y holds int, str: turn .* y\.astype\(str\)",
        only=_READS_LABELS,
    ),
    "labels as bytes": Refusal(
        y=lambda labels: np.array([b"a", b"b", b"c", b"d"])[labels],
        message="bytes is not supported. Convert the labels",
        only=_READS_LABELS,
    ),
    "too few columns asked": Refusal(
        queries=lambda rows: rows[:, :2],
        message="X has 2 features, but .* is expecting 3 features",
    ),
    "too many columns asked": Refusal(
        queries=lambda rows: np.hstack([rows, rows]),
        message="X has 6 features, but .* is expecting 3 features",
    ),
    "NaN asked": Refusal(queries=_with(np.nan), message=_NAN, only=_TAKE_NO_NAN),
    "inf asked": Refusal(queries=_with(np.inf), message="X has inf in row 10"),
    "nothing asked": Refusal(queries=lambda rows: rows[:0], message=r"0 sample\(s\)"),
    "one dimension asked": Refusal(
        queries=lambda rows: rows[0], message="Expected 2D array"
    ),
    "out of range asked": Refusal(
        queries=_with(1e300),
        message="X has 1e\\+300 in .*column 1.*Divide",
        only=frozenset(BASELINES) - {"HNSWKNNClassifier"},
    ),
}
