"""What holds for every baseline: the contract, the hard cases, determinism."""

import pickle
import subprocess
import sys
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

import knngraph
import knngraph.baselines

SETTINGS: dict[str, dict[str, Any]] = {
    "CVKNNClassifier": {"cv": 3},
    "HNSWKNNClassifier": {"ef_construction": 50},
    "SubNNClassifier": {"n_estimators": 5},
}
NAMES = knngraph.baselines.__all__
TUNED = {
    "KStarNNClassifier": {"smoothness": "cv", "cv": 3},
    "KTreeClassifier": {"rho1": "cv", "cv": 2},
    "OWAKNNClassifier": {"n_neighbors": "cv", "alpha": "cv", "cv": 2},
    "OneStepKNNClassifier": {"alpha": "cv", "cv": 3},
    "XHMAKNNClassifier": {"threshold": "cv", "weight": "cv", "cv": 3},
}


def make(name: str, **settings: Any) -> BaseEstimator:
    """A fresh baseline, seeded where it draws anything."""
    estimator = getattr(knngraph.baselines, name)(
        **{**SETTINGS.get(name, {}), **settings}
    )
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    return estimator


@parametrize_with_checks([make(name) for name in NAMES])
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_validated(name):
    check_param_validation(name, make(name))


def noisy_blobs(n_samples: int = 120, n_features: int = 4) -> tuple:
    X, y = make_blobs(n_samples, n_features, centers=4, cluster_std=3.0, random_state=3)
    return X, y


def check_answers(model: BaseEstimator, queries: Any) -> np.ndarray:
    """The relations between labels and shares that always hold."""
    shares = model.predict_proba(queries)
    labels = model.predict(queries)
    assert shares.shape == (len(queries), len(model.classes_))
    assert np.isfinite(shares).all()
    assert (shares >= 0.0).all()
    assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(labels, model.classes_[shares.argmax(axis=1)])
    return labels


def test_every_baseline_is_exported_by_the_package():
    for name in NAMES:
        assert getattr(knngraph, name) is getattr(knngraph.baselines, name)
        assert name in knngraph.__all__


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_keyword_only_and_documented(name):
    kind = getattr(knngraph.baselines, name)
    for parameter in signature(kind).parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert f"\n{parameter.name} : " in kind.__doc__
    for section in ("Parameters", "Attributes", "Notes", "References", "Examples"):
        assert f"\n{section}\n---" in kind.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_documented_attributes_exist(name):
    model = make(name).fit(
        pd.DataFrame(noisy_blobs()[0], columns=list("abcd")), [*noisy_blobs()[1]]
    )
    attributes = type(model).__doc__.split("Attributes\n")[1].split("\n\n")[0]
    names = [
        part.strip()
        for line in attributes.splitlines()
        if " : " in line and line[0] != " "
        for part in line.split(" : ")[0].split(",")
    ]
    assert "classes_" in names
    for attribute in names:
        assert hasattr(model, attribute), attribute


@pytest.mark.parametrize("name", NAMES)
def test_frames_and_string_labels(name):
    X, y = noisy_blobs()
    letters = np.array(["delta", "alpha", "charlie", "bravo"])
    frame = pd.DataFrame(X, columns=["w", "x", "y", "z"])
    from_strings = make(name).fit(frame, pd.Series(letters[y]))
    assert_array_equal(from_strings.feature_names_in_, ["w", "x", "y", "z"])
    assert_array_equal(from_strings.classes_, sorted(letters))
    assert set(check_answers(from_strings, frame)) <= set(letters)
    # The classes as numbers in the order of the strings give the same shares.
    codes = np.searchsorted(np.sort(letters), letters[y])
    from_numbers = make(name).fit(X, codes)
    assert_array_equal(from_strings.predict_proba(frame), from_numbers.predict_proba(X))
    with pytest.raises(ValueError, match="feature names should match"):
        from_strings.predict(frame[["x", "w", "y", "z"]])


HARD_CASES: dict[str, tuple[Any, Any]] = {
    "copies with different labels": ([[0.0], [0.0], [0.0], [2.0], [2.0]], "abbaa"),
    "all rows equal": (np.ones((7, 3)), "abababb"),
    "all distances equal": (np.eye(5), "abcab"),
    "one class": (np.arange(12.0).reshape(6, 2), "aaaaaa"),
    "one row": ([[1.0, 2.0]], "a"),
    "two rows": ([[1.0, 2.0], [3.0, 4.0]], "ab"),
    "every row its own class": (np.arange(6.0)[:, None] ** 2, "abcdef"),
    "one feature": (np.arange(9.0)[:, None] % 4, "aabbaabba"),
    "a class of one row": (np.arange(8.0)[:, None], "aaaaaaab"),
    "constant columns": (np.c_[np.full(8, 7.0), np.arange(8.0)], "aabbaabb"),
    "rows of zeros": (np.zeros((4, 2)), "abab"),
    "more features than rows": (np.arange(40.0).reshape(4, 10) % 7, "abba"),
    "far from the origin": (1e4 + np.arange(16.0).reshape(8, 2) % 5, "aabbaabb"),
    "tiny": (1e-6 * (np.arange(16.0).reshape(8, 2) % 5), "aabbaabb"),
    "integers": (np.arange(16).reshape(8, 2) % 5, "aabbaabb"),
}


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
@pytest.mark.parametrize("case", HARD_CASES)
@pytest.mark.parametrize("name", NAMES)
def test_hard_data(name, case):
    X, labels = np.asarray(HARD_CASES[case][0]), list(HARD_CASES[case][1])
    model = make(name).fit(X, labels)
    assert_array_equal(model.classes_, sorted(set(labels)))
    elsewhere = X + np.linspace(-0.7, 0.9, X.shape[1])
    for queries in (X, elsewhere, elsewhere[:1]):
        answers = check_answers(model, queries)
        if len(model.classes_) == 1:
            assert set(answers) == {"a"}


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
@pytest.mark.parametrize("case", HARD_CASES)
@pytest.mark.parametrize("name", TUNED)
def test_hard_data_while_tuning(name, case):
    X, labels = np.asarray(HARD_CASES[case][0]), list(HARD_CASES[case][1])
    check_answers(make(name, **TUNED[name]).fit(X, labels), X)


MANY_NEIGHBORS = {
    "CVKNNClassifier": {"k_candidates": [50]},
    "ENNClassifier": {"n_neighbors": 50, "n_neighbors_edit": 50},
    "HNSWKNNClassifier": {"n_neighbors": 50},
    "KDTreeKNNClassifier": {"n_neighbors": 50},
    "OWAKNNClassifier": {"n_neighbors": 50},
    "SubNNClassifier": {"n_neighbors": 50, "max_samples": 50},
    "XHMAKNNClassifier": {"n_neighbors": 50},
}


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
@pytest.mark.parametrize("name", MANY_NEIGHBORS)
def test_more_neighbors_than_rows(name):
    X, y = noisy_blobs(20)
    model = make(name, **MANY_NEIGHBORS[name]).fit(X, y)
    shares = model.predict_proba(X)
    check_answers(model, X)
    if name in {"HNSWKNNClassifier", "KDTreeKNNClassifier", "SubNNClassifier"}:
        assert_allclose(shares, np.full((20, 4), 0.25))


@pytest.mark.parametrize("n_jobs", [2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_threads_and_repetition_change_no_bit(name, n_jobs):
    X, y = noisy_blobs(200)
    queries = np.random.default_rng(0).normal(scale=8.0, size=(600, 4))
    expected = make(name).fit(X, y).predict_proba(queries)
    again = make(name, n_jobs=n_jobs).fit(X, y)
    assert again.predict_proba(queries).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", TUNED)
def test_tuning_is_deterministic_and_leaves_parameters_alone(name):
    X, y = noisy_blobs()
    model = make(name, **TUNED[name])
    before = clone(model).get_params()
    expected = model.fit(X, y).predict_proba(X)
    assert model.get_params() == before
    again = make(name, n_jobs=2, **TUNED[name]).fit(X, y)
    assert again.predict_proba(X).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_its_company(name):
    X, y = noisy_blobs(150, 7)
    queries = np.random.default_rng(0).normal(scale=8.0, size=(300, 7))
    model = make(name).fit(X, y)
    together = model.predict_proba(queries)
    alone = np.vstack([model.predict_proba(row[None]) for row in queries[::10]])
    assert together[::10].tobytes() == alone.tobytes()
    backwards = model.predict_proba(queries[::-1])[::-1]
    assert together.tobytes() == np.ascontiguousarray(backwards).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_and_fortran_order_give_the_same_answers(name):
    X, y = noisy_blobs()
    X = X.astype(np.float32)
    expected = make(name).fit(X.astype(np.float64), y).predict_proba(X)
    for variant in (X, np.asfortranarray(X)):
        model = make(name).fit(variant, y)
        assert_array_equal(model.predict_proba(variant), expected)


@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_as_it_was(name, n_features):
    X, y = noisy_blobs(40, n_features)
    for rows in (X, np.asfortranarray(X), X.astype(np.float32)):
        before, labels = rows.copy(), y.copy()
        make(name).fit(rows, labels).predict(rows)
        assert_array_equal(rows, before)
        assert_array_equal(labels, y)


@pytest.mark.parametrize("name", NAMES)
def test_works_in_a_pipeline(name):
    X, y = noisy_blobs()
    pipeline = make_pipeline(StandardScaler(), make(name)).fit(X, y)
    assert pipeline.score(X, y) > 0.6


def test_pickles_open_in_a_fresh_process(tmp_path):
    X, y = noisy_blobs()
    models = [make(name).fit(X, y) for name in NAMES]
    content = (models, X, [model.predict_proba(X) for model in models])
    (tmp_path / "models.pkl").write_bytes(pickle.dumps(content))
    program = (
        "import pickle, sys, numpy as np\n"
        "models, X, shares = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for model, expected in zip(models, shares):\n"
        "    assert np.array_equal(model.predict_proba(X), expected), model\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "models.pkl")], check=True
    )


def test_import_loads_no_heavy_library():
    program = (
        "import sys, knngraph.baselines\n"
        "heavy = {'numba', 'hnswlib', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_sparse_input_is_refused_with_a_way_out(name):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="dense"):
        make(name).fit(csr_array(np.eye(4)), [0, 1, 0, 1])
