"""Run scikit-learn's own tests of its neighbor estimators against ours.

`python -m tests.scikit_learns_own` runs the tests of `KNeighborsClassifier`,
`KNeighborsTransformer` and `kneighbors_graph` that the installed scikit-learn brings
along, with the three names replaced by adapters. An adapter translates parameters and
computes nothing:

==================  =================================================================
theirs              ours
==================  =================================================================
n_neighbors         `max_neighbors` of KNNGraphClassifier, `n_neighbors` of
                    KNNGraphTransformer(method="knn"), `k` of knn_adjacency
metric              the same, and `metric_params={"p": p}` beside "minkowski"
metric_params       the same
n_jobs              the same
weights             ignored where it is a word: the method weighs votes
algorithm           ignored: there is one index
leaf_size           ignored: there is no tree
a tree as X         the rows that it holds
==================  =================================================================

Every other parameter keeps its default, but `random_state`, which is 0.

A test is *refused* where it fails after ours has refused what it was given for one of
three reasons, which are read off what was given and not off the message: the metric,
a function (as `metric` or `weights`), several outputs. What such a test goes on to is
not tried. It is *answered* where it demands an error that ours has no reason for.
Anything else that does not pass has *failed*.
"""

import argparse
import inspect
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn

# Whatever uses the three inside of scikit-learn keeps scikit-learn's own.
import sklearn.cluster
import sklearn.ensemble
import sklearn.impute
import sklearn.manifold
import sklearn.neighbors
import sklearn.semi_supervised
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.neighbors import BallTree, KDTree
from sklearn.neighbors._base import KNeighborsMixin, NeighborsBase

from knngraph import KNNGraphClassifier, KNNGraphTransformer, knn_adjacency

NAMES = ("KNeighborsClassifier", "KNeighborsTransformer", "kneighbors_graph")
FILES = ("test_neighbors.py", "test_neighbors_pipeline.py", "test_graph.py")
# Tests that demand an error where there is nothing wrong for ours.
ANSWERED = {
    "test_predict_sparse_ball_kd_tree": "a tree takes no sparse rows, our search does",
}
# Off unless the environment says so: the tests in single precision.
_FLOAT32 = "SKLEARN_RUN_FLOAT32_TESTS"
_OUTCOMES = ("passed", "refused", "answered", "skipped by scikit-learn", "failed")
# Reasons for which ours has refused, in the test that runs.
_refused: list[str] = []


class _Refusing:
    """Notes a refusal, and its reason, where what is given explains it."""

    def __init__(self, estimator: Any, y: Any = None) -> None:
        self.reason = _reason(estimator, y)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.reason and isinstance(error, ValueError | TypeError):
            _refused.append(self.reason)


def _reason(given: Any, y: Any) -> str | None:
    metric, params = given.metric, given.metric_params or {}
    if callable(metric) or callable(getattr(given, "weights", None)):
        return "a function"
    if metric == "minkowski" and (params.get("p", given.p) != 2 or "w" in params):
        return "the metric"
    if metric not in ("minkowski", "euclidean", "l2", "cosine"):
        return "the metric"
    return "several outputs" if y is not None and np.ndim(y) > 1 else None


def _translated(given: Any) -> dict[str, Any]:
    params = given.metric_params
    if given.metric == "minkowski":
        params = {"p": given.p} | (params or {})
    return {"metric": given.metric, "metric_params": params, "n_jobs": given.n_jobs}


def _rows(X: Any) -> Any:
    if isinstance(X, NeighborsBase):
        return X._fit_X
    return np.asarray(X.data) if isinstance(X, BallTree | KDTree) else X


class _Adapter(KNeighborsMixin, BaseEstimator):  # type: ignore[misc]
    """What both estimators share: the parameters, and the neighbors of a fitted one."""

    def _make(self) -> Any:
        raise NotImplementedError

    @property
    def _ours(self) -> Any:
        return vars(self).get("model_") or self._make()

    def __sklearn_tags__(self) -> Any:
        return self._make().__sklearn_tags__()

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_") and not name.startswith("_") and "model_" in vars(self):
            return getattr(self.model_, name)
        raise AttributeError(name)

    def fit(self, X: Any, y: Any = None) -> Any:
        with _Refusing(self, y):
            self.model_ = self._make().fit(_rows(X), y)
        return self

    def kneighbors(
        self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True
    ) -> Any:
        return self._ours.kneighbors(X, n_neighbors, return_distance)

    def kneighbors_graph(
        self, X: Any = None, n_neighbors: Any = None, mode: str = "connectivity"
    ) -> Any:
        return self._ours.kneighbors_graph(X, n_neighbors, mode)


class KNeighborsClassifier(ClassifierMixin, _Adapter):  # type: ignore[misc]
    """KNNGraphClassifier by the parameters of scikit-learn."""

    def __init__(
        self,
        n_neighbors: Any = 5,
        *,
        weights: Any = "uniform",
        algorithm: Any = "auto",
        leaf_size: Any = 30,
        p: Any = 2,
        metric: Any = "minkowski",
        metric_params: Any = None,
        n_jobs: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.p = p
        self.metric = metric
        self.metric_params = metric_params
        self.n_jobs = n_jobs

    def _make(self) -> Any:
        if callable(self.weights):
            raise TypeError("weights that are a function have no counterpart")
        return KNNGraphClassifier(
            max_neighbors=self.n_neighbors, random_state=0, **_translated(self)
        )

    def predict(self, X: Any) -> Any:
        return self._ours.predict(X)

    def predict_proba(self, X: Any) -> Any:
        return self._ours.predict_proba(X)


class KNeighborsTransformer(TransformerMixin, _Adapter):  # type: ignore[misc]
    """KNNGraphTransformer by the parameters of scikit-learn."""

    def __init__(
        self,
        *,
        mode: Any = "distance",
        n_neighbors: Any = 5,
        algorithm: Any = "auto",
        leaf_size: Any = 30,
        metric: Any = "minkowski",
        p: Any = 2,
        metric_params: Any = None,
        n_jobs: Any = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.metric = metric
        self.p = p
        self.metric_params = metric_params
        self.n_jobs = n_jobs

    def _make(self) -> Any:
        return KNNGraphTransformer(
            method="knn",
            mode=self.mode,
            n_neighbors=self.n_neighbors,
            random_state=0,
            **_translated(self),
        )

    def transform(self, X: Any) -> Any:
        return self._ours.transform(X)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        with _Refusing(self):
            self.model_ = self._make()
            return self.model_.fit_transform(_rows(X))

    def get_feature_names_out(self, names: Any = None) -> Any:
        ours = self._ours.get_feature_names_out(names)
        # They begin with the name of the class.
        old, new = type(self._ours).__name__.lower(), type(self).__name__.lower()
        return np.array([name.replace(old, new) for name in ours], dtype=object)


def kneighbors_graph(
    X: Any,
    n_neighbors: Any,
    *,
    mode: Any = "connectivity",
    metric: Any = "minkowski",
    p: Any = 2,
    metric_params: Any = None,
    include_self: Any = False,
    n_jobs: Any = None,
) -> Any:
    """knn_adjacency by the parameters of scikit-learn."""
    given = argparse.Namespace(
        metric=metric, p=p, metric_params=metric_params, n_jobs=n_jobs
    )
    with _Refusing(given):
        if metric == "minkowski" and p != 2:
            raise ValueError("knn_adjacency has p=2 only")
        if include_self == "auto":
            include_self = mode == "connectivity"
        return knn_adjacency(
            _rows(X),
            n_neighbors,
            mode=mode,
            metric=metric,
            include_self=include_self,
            n_jobs=n_jobs,
            random_state=0,
        )


class Run:
    """A plugin of pytest: exchanges the three names, and sorts what comes of them."""

    def __init__(self) -> None:
        self.outcomes: dict[str, tuple[str, str]] = {}
        self._theirs = {name: getattr(sklearn.neighbors, name) for name in NAMES}

    def __enter__(self) -> "Run":
        for name in NAMES:
            setattr(sklearn.neighbors, name, globals()[name])
        return self

    def __exit__(self, *error: Any) -> None:
        for name, theirs in self._theirs.items():
            setattr(sklearn.neighbors, name, theirs)

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Keep the tests that use one of the three."""
        kept, dropped = [], []
        for item in items:
            (kept if _uses_ours(item) else dropped).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Begin a test without any refusal."""
        _refused.clear()
        return (yield)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Sort one test."""
        name = report.nodeid.rpartition("/")[2]
        if report.skipped:
            self.outcomes[name] = "skipped by scikit-learn", ""
        elif report.failed:
            function = name.partition("::")[2].partition("[")[0]
            if _refused:
                self.outcomes[name] = "refused", ", ".join(sorted(set(_refused)))
            elif function in ANSWERED:
                self.outcomes[name] = "answered", ANSWERED[function]
            else:
                self.outcomes[name] = "failed", str(report.longrepr)
        elif report.when == "call":
            self.outcomes[name] = "passed", ""


def _uses_ours(item: Any) -> bool:
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    classes = [value if inspect.isclass(value) else type(value) for value in given]
    if any(cls.__module__ == __name__ for cls in classes):
        return True
    if any(issubclass(cls, NeighborsBase) for cls in classes):
        return False  # a test of several classes, with another one of them
    source = re.sub("#.*", "", inspect.getsource(item.function))
    return any(
        re.search(rf"(?<![.\w])(neighbors\.)?{name}\b", source) for name in NAMES
    )


def run(*arguments: str) -> Run:
    """Run the tests, and return what came of each."""
    folder = Path(sklearn.neighbors.__file__).parent / "tests"
    os.environ.setdefault(_FLOAT32, "1")
    with Run() as own:
        pytest.main(
            [
                *(str(folder / name) for name in FILES),
                *("-p", "no:cacheprovider", "-c", os.devnull),
                *("-p", "no:terminal", *arguments),
            ],
            plugins=[own],
        )
    return own


def report(own: Run) -> str:
    """How many tests passed, were refused and for what, and failed."""
    counts = Counter(outcome for outcome, _ in own.outcomes.values())
    lines = [f"{len(own.outcomes)} tests of scikit-learn {sklearn.__version__}"]
    for outcome in _OUTCOMES:
        lines.append(f"{counts[outcome]:>6}  {outcome}")
        if outcome in ("refused", "answered"):
            whys = [why for what, why in own.outcomes.values() if what == outcome]
            lines += [f"{n:>14}  {why}" for why, n in Counter(whys).most_common()]
    return "\n".join(lines)


def main() -> int:
    """Print the report, every failure, and with --all every test."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="list every test")
    parser.add_argument("-k", default="", help="tests to run, as in pytest")
    options = parser.parse_args()
    own = run("-k", options.k)
    for name, (outcome, why) in sorted(own.outcomes.items()):
        if options.all or outcome == "failed":
            print(f"{outcome:>10}  {name}  {why}")
    print(report(own))
    return any(outcome == "failed" for outcome, _ in own.outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
