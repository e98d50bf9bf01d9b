"""Random estimators, parameters and data: no crash, no NaN out, no hang.

    python -m tests.fuzz --cases 3000 --seed 0

A case is drawn from its own number, so that it can be run again alone. Cases run
in a process of their own, which writes its threads and ends where one case takes
longer than a minute.
"""

import argparse
import faulthandler
import pickle
import subprocess
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import get_tags

from knngraph.exceptions import KNNGraphWarning
from knngraph.inspection import risk_coverage
from tests.commands.pages import Page
from tests.hostile import (
    ALL_ESTIMATORS,
    GRAPHS,
    PREDICT_OPTIONS,
    TAKE_SPARSE,
    TRANSFORMERS,
)

SECONDS_PER_CASE = 60
_CASES_PER_PROCESS = 250
_PARAMETERS: dict[str, list[Any]] = {
    "max_neighbors": [1, 2, 5, 32, 200],
    "support": ["exact", "local", "auto"],
    "density_scales": [(1,), (3, 7, 15), (50,)],
    "penalty_max": [0.1, 0.5, 0.999],
    "label_weight": [0.0, 0.3, 1.0],
    "label_discount": [0.0, 0.1, 1.0],
    "bandwidth": ["median", "neighbors", 1e-12, 1.0, 1e12],
    "nugget": [0.0, 1e-9, 10.0],
    "self_weight": [0.0, 2.0, 1e9],
    "positive": [True, False],
    "query_nugget": [0.0, 0.3, 100.0],
    "query_penalty": [0.0, 0.02, 0.99],
    "query_bandwidth": ["neighbors", "local", 1e-12, 1e12],
    "metric": ["euclidean", "cosine", "learned", "auto", "trees", "manhattan"],
    "cascade_tolerance": [0.0, 0.002, 1.0],
    "M": [2, 16, 64],
    "ef_construction": [1, 200],
    "max_iter": [1, 200],
    "tol": [1e-12, 1e-4, 10.0],
    "n_jobs": [None, 2, -1],
    "random_state": [None, 0],
    "n_neighbors": [1, 3, 1000],
    "weights": ["uniform", "distance"],
    "smoothness": [1e-9, 1.0, 1e9],
    "threshold": [0.0, 1.0, 1e9],
    "n_groups": [1, 2, 50],
    "alpha": [1e-6, 0.5, 1.0],
    "mode": ["weights", "connectivity", "distance"],
    "method": ["learned", "knn"],
    "symmetrize": [None, "union", "mutual", "mean"],
    "algorithm": ["auto", "exact", "hnsw"],
}


def draw_data(random: np.random.Generator) -> tuple[Any, np.ndarray, Any]:
    """Training rows, labels and queries of some hard kind."""
    n_rows = int(random.choice([1, 2, 3, 7, 20, 60, 150]))
    n_features = int(random.choice([1, 2, 3, 8, 40]))
    n_classes = int(random.integers(1, 1 + random.choice([2, 4, n_rows])))
    kind = random.choice(["normal", "grid", "copies", "equal", "heavy", "far", "zeros"])
    rows = random.normal(size=(n_rows + 9, n_features))
    if kind == "grid":
        rows = np.round(rows)
    elif kind == "copies":
        rows = rows[random.integers(0, 1 + n_rows // 4, size=n_rows + 9)]
    elif kind == "equal":
        rows[:] = rows[0]
    elif kind == "heavy":
        rows = random.standard_cauchy(size=rows.shape) ** 3
    elif kind == "far":
        rows += 1e6 * random.integers(0, 3, size=(n_rows + 9, 1))
    elif kind == "zeros":
        rows[random.random(rows.shape) < 0.8] = 0.0
    rows *= 10.0 ** float(random.choice([0, 0, 0, -30, 30, -300, 200]))
    rows += float(random.choice([0, 0, 0, 1e8]))
    if random.random() < 0.1:
        rows[0, 0] = random.choice([np.nan, np.inf, 1e308, 5e-324])
    y = random.integers(0, n_classes, size=n_rows)
    X, queries = rows[:n_rows], rows[n_rows:]
    if random.random() < 0.15:
        with np.errstate(over="ignore"):
            return X.astype(np.float32), y, queries.astype(np.float32)
    return X, np.array(list("abcdefgh"))[y % 8], queries


def draw_settings(random: np.random.Generator, known: set[str]) -> dict[str, Any]:
    names = sorted(known & set(_PARAMETERS))
    chosen = random.permutation(names)[: random.integers(0, 4)].tolist()
    return {
        name: _PARAMETERS[name][random.integers(len(_PARAMETERS[name]))]
        for name in chosen
    }


def run_case(number: int, seed: int) -> str:
    """Run one case and say how it ended: "answered" or "refused".

    Any other exception, and an answer that is none, is an error.
    """
    random = np.random.default_rng([seed, number])
    name = str(random.choice(sorted(ALL_ESTIMATORS)))
    X, y, queries = draw_data(random)
    model = ALL_ESTIMATORS[name]()
    model.set_params(**draw_settings(random, set(model.get_params())))
    if get_tags(model).input_tags.allow_nan and random.random() < 0.5:
        for rows in (X, queries):
            rows[random.random(rows.shape) < random.choice([0.02, 0.2, 0.8])] = np.nan
    if name in TAKE_SPARSE and random.random() < 0.2:
        X, queries = sparse.csr_array(X), sparse.csr_array(queries)
    if name in GRAPHS:
        model.set_params(**PREDICT_OPTIONS[str(random.choice(sorted(PREDICT_OPTIONS)))])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        # Of scikit-learn's own check for infinities, on sums of huge numbers.
        warnings.filterwarnings("ignore", message=".*encountered in reduce")
        # Also scikit-learn's ConvergenceWarning: one step does not end a solver.
        warnings.simplefilter("ignore", KNNGraphWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            model.fit(X, y)
            if name in TRANSFORMERS:
                values = model.transform(queries).data
            else:
                values = model.predict_proba(queries)
                labels = model.predict(queries)
        except (ValueError, TypeError) as refusal:
            if len(str(refusal)) < 30 or "ufunc" in str(refusal):
                raise AssertionError(f"no clear message: {refusal!r}") from refusal
            return "refused"
        if name in GRAPHS:
            check_beyond_answers(model, X, y, queries, random)
    assert np.isfinite(values).all(), "not finite"
    if name not in TRANSFORMERS:
        assert np.allclose(values.sum(axis=1), 1.0), "shares do not sum to one"
        assert set(labels) <= set(y), "an unknown class"
    return "answered"


def check_beyond_answers(
    model: Any, X: Any, y: np.ndarray, queries: Any, random: np.random.Generator
) -> None:
    """What comes of a fitted classifier: predictor, pickle, rows that come and go."""
    shares = model.predict_proba(queries)
    unlike, per_class = model.novelty_score(queries), random.random() < 0.5
    pvalues = model.novelty_pvalue(queries, per_class=per_class)
    assert ((unlike >= 0.0) & (unlike < np.inf)).all(), "novelty"
    assert ((pvalues > 0.0) & (pvalues <= 1.0)).all(), "p-values"
    level = random.uniform(0.02, 0.5)
    sets = model.predict_set(queries, level, per_class=per_class)
    assert sets[np.arange(len(sets)), shares.argmax(axis=1)].all(), "empty sets"
    novel = model.is_novel(queries, level, per_class=per_class)
    assert np.array_equal(novel, pvalues <= level), "novel rows"
    check_explained(model, queries, random)
    for other in (model.to_predictor(), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict_proba(queries), shares), repr(other)
        assert np.array_equal(other.novelty_score(queries), unlike), repr(other)
        again = other.novelty_pvalue(queries, per_class=per_class)
        assert np.array_equal(again, pvalues), repr(other)
        again = other.predict_set(queries, level, per_class=per_class)
        assert np.array_equal(again, sets), repr(other)
        found = other.answer(queries, level, per_class=per_class)
        assert np.array_equal(found.labels, model.predict(queries)), repr(other)
        assert np.array_equal(found.probabilities, shares), repr(other)
        assert np.array_equal(found.novelty_score, unlike), repr(other)
        assert np.array_equal(found.sets, sets), repr(other)
    some = random.permutation(len(y))[: random.integers(1, len(y) + 1)]
    named = random.random() < 0.5
    ids = [f"new {row}" if row % 2 else int(row) for row in some] if named else None
    labels, classes = y[some], None
    if random.random() < 0.3:
        classes = ["new"] if y.dtype.kind == "U" else [-1]
        labels = np.append(labels[1:], classes)
    changed = model.partial_fit(X[some], labels, classes=classes, ids=ids)
    if random.random() < 0.5:
        changed.predict(queries)
    if named and random.random() < 0.5:
        changed.forget(ids=ids)
        assert changed.ids_ is None, "ids of rows that are gone"
    else:
        changed.forget(random.permutation(len(y) + len(some))[: len(some)])
    shares = changed.predict_proba(queries)
    assert np.isfinite(shares).all(), "not finite after a change"
    assert np.isfinite(changed.novelty_score(queries)).all(), "novelty after a change"
    sets = changed.predict_set(queries, level)
    assert sets.any(axis=1).all(), "sets after a change"
    n_classes = len(np.unique(y)) + (classes is not None)
    assert shares.shape[1] == len(changed.classes_) == n_classes, "classes that came"
    assert np.allclose(shares.sum(axis=1), 1.0), "shares after a change"
    assert changed.graph_.shape == (len(y), len(y)), "rows after a change"


def check_explained(model: Any, queries: Any, random: np.random.Generator) -> None:
    """An explanation agrees with the answer, and its card is a page."""
    row = int(random.integers(queries.shape[0]))
    query = queries[row : row + 1]
    explained = [model.explain(query)[0]]
    if not sparse.issparse(query):
        explained.append(model.to_predictor().explain(query)[0])
    for said in explained:
        assert said.predicted == model.predict(query)[0], "another class explained"
        assert np.isfinite(said.probabilities).all(), "probabilities of a card"
        weights = [voter.weight for voter in said.voters]
        assert not weights or np.isclose(sum(weights), 1.0), "votes of a card"
        Page(said.to_html(given=said.predicted)).check_harmless()
        assert str(said)
    level = model.predict_proba(queries).max(axis=1)
    labels = model.predict(queries)
    curve = risk_coverage(labels, random.permutation(labels), level)
    assert 0.0 <= curve.area <= 1.0, "area of a curve"


def run_cases(first: int, stop: int, seed: int) -> Counter[str]:
    """Run some cases in this process; failures are printed with their number."""
    ended: Counter[str] = Counter()
    for number in range(first, stop):
        faulthandler.dump_traceback_later(SECONDS_PER_CASE, exit=True)
        try:
            ended[run_case(number, seed)] += 1
        except Exception as error:
            ended["failed"] += 1
            print(f"case {number} of seed {seed}: {error!r}", file=sys.stderr)
        faulthandler.cancel_dump_traceback_later()
    return ended


def run_guarded(n_cases: int, seed: int, first: int = 0) -> Counter[str]:
    """Run cases in processes of their own: a crash or a hang ends one of them."""
    ended: Counter[str] = Counter()
    for start in range(first, first + n_cases, _CASES_PER_PROCESS):
        stop = min(start + _CASES_PER_PROCESS, first + n_cases)
        arguments = ["--range", str(start), str(stop), "--seed", str(seed)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        sys.stderr.write(done.stderr)
        if done.returncode:
            ended["crashed or hung"] += 1
            continue
        for line in done.stdout.splitlines():
            outcome, count = line.split()
            ended[outcome] += int(count)
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--range", type=int, nargs=2, help="run these in this process")
    arguments = parser.parse_args()
    if arguments.range:
        ended = run_cases(*arguments.range, arguments.seed)
        print("\n".join(f"{outcome} {count}" for outcome, count in ended.items()))
        return 0
    ended = run_guarded(arguments.cases, arguments.seed)
    print(f"{arguments.cases} cases of seed {arguments.seed}: {dict(ended)}")
    return int(set(ended) - {"answered", "refused"} != set())


if __name__ == "__main__":
    sys.exit(main())
