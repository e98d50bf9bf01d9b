"""Partitions and inputs that are not as one would like them."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier
from tests.distributed.data import rows_with_copies

SETTINGS = {
    "random_state": 0,
    "support": "local",
    "ef": 64,
}


def distributed(n_partitions=2, local_rows=0, **settings):
    own = {n: settings.pop(n) for n in ("routing", "n_probes") if n in settings}
    return DaskKNNGraphClassifier(
        KNNGraphClassifier(**SETTINGS | settings),
        n_partitions=n_partitions,
        local_rows=local_rows,
        **own,
    )


def fit_both(X, y, chunks, **settings):
    far = distributed(**settings).fit(
        da.from_array(X, chunks=(chunks, -1)), da.from_array(y, chunks=(chunks,))
    )
    return clone(far.estimator).fit(X, y), far


@pytest.fixture(params=[0, 1000], ids=["partitions", "whole"])
def local_rows(request):
    return request.param


@pytest.mark.parametrize(
    "chunks",
    [(0, 100, 20), (1, 118, 1), (120,)],
    ids=["an empty block", "blocks of one row", "one block"],
)
def test_blocks_of_any_size(blobs, chunks, local_rows):
    X, y = blobs[0][:120], blobs[1][:120]
    near, far = fit_both(X, y, chunks, local_rows=local_rows)
    np.testing.assert_array_equal(far.predict(X), near.predict(X))
    assert abs(far.to_local().graph_ - near.graph_).max() <= near.tol
    no_rows = far.predict(da.from_array(X, chunks=(chunks, -1))[:0])
    assert no_rows.compute().shape == (0,)


def test_blocks_of_one_class_each(blobs, local_rows):
    order = np.argsort(blobs[1], kind="stable")
    X, y = blobs[0][order], blobs[1][order]
    near, far = fit_both(X, y, tuple(np.bincount(y)), local_rows=local_rows)
    np.testing.assert_array_equal(far.predict(X), near.predict(X))


def test_arrays_of_unknown_sizes(blobs, local_rows):
    X, y = blobs
    rows, labels = da.from_array(X, chunks=(90, -1)), da.from_array(y, chunks=90)
    kept = X[:, 0] > np.median(X[:, 0])
    lazily = rows[:, 0] > np.median(X[:, 0])
    near = KNNGraphClassifier(**SETTINGS).fit(X[kept], y[kept])
    far = distributed(local_rows=local_rows)
    far.fit(rows[lazily], labels[lazily])
    answers = far.predict(rows[lazily])
    assert np.isnan(answers.chunks[0]).all()
    np.testing.assert_array_equal(answers.compute(), near.predict(X[kept]))
    shares = far.predict_proba(rows[lazily]).compute()
    np.testing.assert_allclose(shares, near.predict_proba(X[kept]))


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_unequal_partitions_of_one_class_each(inference):
    random = np.random.default_rng(0)
    centers, sizes = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]]), [150, 30, 6]
    y = np.repeat([0, 1, 2], sizes)
    X = centers[y] + random.normal(size=(len(y), 2))
    near, far = fit_both(
        X,
        y,
        (100, 86),
        n_partitions=3,
        routing="centroids",
        n_probes=1,
        inference=inference,
    )
    assert sorted(far.partition_sizes_) == sorted(sizes)
    Q = centers.repeat(10, axis=0) + random.normal(size=(30, 2))
    np.testing.assert_allclose(far.predict_proba(Q), near.predict_proba(Q), atol=1e-6)


def test_a_fit_that_fails_leaves_the_model(blobs, local_rows):
    X, y = blobs
    rows, labels = da.from_array(X, chunks=(80, -1)), da.from_array(y, chunks=80)
    far = distributed(local_rows=local_rows).fit(rows, labels)
    expected = far.predict(X)
    with pytest.raises(ValueError, match="inf"):
        far.fit(da.where(rows == X[100, 0], np.inf, rows)[:, :2], labels + 5)
    np.testing.assert_array_equal(far.predict(X), expected)


def test_more_partitions_than_rows_leaves_some_empty():
    X, y = rows_with_copies(60)
    X, y = X[:9], y[:9]
    near, far = fit_both(X, y, (5, 4), n_partitions=12)
    assert (far.partition_sizes_ == 0).any()
    for inference in ("lookup", "adaptive", "cascade"):
        near.set_params(inference=inference)
        far.set_params(estimator__inference=inference)
        np.testing.assert_allclose(far.predict_proba(X), near.predict_proba(X))


def test_one_partition_one_class_and_one_row():
    X = np.array([[0.0, 1.0], [0.5, 1.0], [2.0, 2.0]])
    near, far = fit_both(X, np.array(["a", "a", "a"]), (2, 1), n_partitions=1)
    np.testing.assert_array_equal(far.predict(X), near.predict(X))
    near, far = fit_both(X[:1], np.array([3]), (1,), n_partitions=2)
    np.testing.assert_array_equal(far.predict(X), [3, 3, 3])


def test_all_rows_alike():
    X, y = np.ones((20, 3)), np.arange(20) % 2
    near, far = fit_both(X, y, (7, 13), n_partitions=3)
    np.testing.assert_allclose(far.predict_proba(X[:2]), near.predict_proba(X[:2]))


def test_chunks_that_do_not_agree(blobs, local_rows):
    X, y = blobs
    rows = da.from_array(X, chunks=(100, 2))
    far = distributed(local_rows=local_rows)
    far.fit(rows, da.from_array(y, chunks=77))
    assert far.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="240 rows and y has 239"):
        far.fit(rows, da.from_array(y[:-1], chunks=77))
    unknown = rows[rows[:, 0] > -1e9]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        far.fit(unknown, da.from_array(y, chunks=240))
    with pytest.raises(ValueError, match="Block 2 has 40 rows in X and 39 in y"):
        far.fit(unknown, da.from_array(y[:-1], chunks=100))


def test_what_is_refused(blobs, local_rows):
    X, y = blobs
    rows, labels = da.from_array(X, chunks=(80, -1)), da.from_array(y, chunks=80)
    far = distributed(local_rows=local_rows)
    with pytest.raises(TypeError, match=r"X must be a Dask array.*got ndarray"):
        far.fit(X, y)
    wrong = da.where(rows == X[100, 0], np.inf, rows)
    with pytest.raises(ValueError, match=r"Block 1 .* X has inf in row 20, column 0"):
        far.fit(wrong, labels)
    with pytest.raises(ValueError, match="0 samples"):
        far.fit(rows[:0], labels[:0])
    with pytest.raises(ValueError, match="Unknown label type"):
        far.fit(rows, labels + 0.5)
    with pytest.raises(ValueError, match="'routing' parameter"):
        far.set_params(routing="some").fit(rows, labels)
    far.set_params(routing="all").fit(rows, labels)
    with pytest.raises(ValueError, match="2 features"):
        far.predict(rows[:, :2]).compute()
    with pytest.raises(ValueError, match="two dimensions"):
        far.predict(rows[:, 0])


def blurred_by_distance():
    """Clusters a hundred million times as far apart as they are wide."""
    random = np.random.default_rng(0)
    tight = 1e8 + random.normal(size=(100, 2))
    return np.concatenate([tight, -tight, -tight[:3]]), random.integers(2, size=203)


def blurred_into_copies():
    """Rows that differ, with either label, and that rounding brings together."""
    random = np.random.default_rng(0)
    far = 1e8 + 1e-3 * random.normal(size=(150, 2))
    X = np.concatenate([random.normal(size=(200, 2)), far])
    return X, np.arange(len(X)) % 2


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.parametrize("make", [blurred_by_distance, blurred_into_copies])
def test_what_single_precision_cannot_tell_is_answered_as_on_one_machine(
    make, inference, local_rows, tmp_path
):
    X, y = make()
    settings = {"metric": "euclidean", "inference": inference}
    near = KNNGraphClassifier(**SETTINGS | settings).fit(X, y)
    assert near.precision_ == "double"
    rows, labels = da.from_array(X, chunks=(70, -1)), da.from_array(y, chunks=70)
    far = distributed(n_partitions=3, local_rows=local_rows, **settings)
    far.fit(rows, labels)
    assert far.precision_ == "double"
    np.testing.assert_array_equal(far.predict(rows).compute(), near.predict(X))
    local = far.to_local()
    np.testing.assert_array_equal(local.predict(X), near.predict(X))
    far.save(tmp_path / "model")
    again = DaskKNNGraphClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(rows).compute(), near.predict(X))
    if not local_rows:
        routed = clone(far).set_params(routing="centroids", n_probes=3)
        routed.fit(rows, labels)
        np.testing.assert_array_equal(routed.predict(rows).compute(), near.predict(X))


def test_rows_a_rounding_apart_are_answered_as_on_one_machine():
    random = np.random.default_rng(0)
    X = random.normal(size=(240, 20))
    X[80:160] = X[160:] * (1.0 + 3e-8 * random.normal(size=(80, 20)))
    y = random.integers(3, size=240)
    exactly = {"support": "auto", "inference": "adaptive", "ef": 400}
    exactly |= {"metric": "euclidean"}  # the labels are random: nothing to learn
    near, far = fit_both(X, y, (120, 120), **exactly)
    np.testing.assert_array_equal(far.predict(X), near.predict(X))


def test_without_dask_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "try:\n    import knngraph.distributed\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'knngraph[dask]'" in done.stdout


def test_what_runs_on_workers_loads_no_data_frames():
    stages = (
        *("answer", "collections", "files", "learn", "partition", "pilot", "search"),
        "tasks",
    )
    code = (
        "import sys, importlib\n"
        f"for stage in {stages}:\n"
        "    importlib.import_module('knngraph.distributed.' + stage)\n"
        "import numpy as np\n"
        "from knngraph.distributed.collections import _describe\n"
        "_describe(np.ones((3, 2)), np.array(['a', 'b', 'a']), 0, True)\n"
        "print(sorted({'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
